"""The pure mapping of a turn to a run."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from pydantic import ValidationError

from runledger.errors import InvalidArgument, describe
from runledger.ids import derived_id, foreign_id
from runledger.importers.foreign import Foreign
from runledger.importers.pi.session import Entry, Turn
from runledger.importers.recorder import Timed
from runledger.importers.session_end import QUIET, lost_tool
from runledger.messages import (
    ContentPart,
    Function,
    Message,
    ReasoningContent,
    TextContent,
    ToolCall,
    ToolReturn,
)
from runledger.run import commands as c

AGENT_ID: Final = "agent-pi"
SOURCE: Final = "pi"

_STOP_REASONS: Final = {
    "stop": "end_turn",
    "length": "max_tokens_exceeded",
    "error": "llm_api_error",
    "aborted": "cancelled",
}
_STATUS: Final = {"error": "failed", "aborted": "cancelled"}


def run_id(turn: Turn, organization: str) -> str:
    """Return the run's id: a copy of the turn in another session's file has the same one."""
    return derived_id("run", SOURCE, organization, turn.key)


def is_over(turn: Turn, now: datetime) -> bool:
    """Whether the turn is complete."""
    return not turn.last or now - _last_at(turn) > QUIET


def commands(turn: Turn, organization: str, now: datetime, project: str | None) -> Iterator[Timed]:
    """Yield the turn's commands with their times.

    turn: the content of the session's file, up to the next prompt or to the end of the file.
    organization: the organization of the run; a part of every id.
    now: the present time; it decides whether the last turn is over.
    project: the run's project id, or None.

    Raises:
        InvalidArgument: if the content is wrong; the message names the place.
    """
    header = turn.header
    metadata: dict[str, Any] = {
        "source": SOURCE, "session_id": header.session_id, **header.facts,
    }  # fmt: skip
    conversation_id = foreign_id("conversation", header.session_id)
    yield (
        turn.started_at,
        c.CreateRun(AGENT_ID, project, conversation_id=conversation_id, metadata=metadata),
    )
    yield turn.started_at, c.StartRun()
    callers: dict[str, str] = {}
    if turn.prompt is not None:
        yield turn.started_at, c.RecordMessages([_message("user", turn.prompt, organization)])
    for entry in turn.entries:
        if entry.message.text("role") == "assistant":
            yield entry.at, _step(entry, organization, callers)
        else:
            yield entry.at, c.RecordMessages([_returned(entry, organization, callers)])
    if turn.compactions:
        yield _last_at(turn), c.PatchMetadata(turn.compactions)
    if is_over(turn, now):
        yield _last_at(turn), _end(turn, set(callers))


def _last_at(turn: Turn) -> datetime:
    return max([turn.started_at, *(entry.at for entry in turn.entries)])


def _step(entry: Entry, organization: str, callers: dict[str, str]) -> c.RecordStep:
    message, usage = entry.message, entry.message.object("usage") or Foreign({})
    response_id = message.text("responseId")
    step_id = derived_id("step", SOURCE, organization, response_id or entry.key)
    answer = _message("assistant", entry, organization, step_id)
    callers.update((call.id, step_id) for call in answer.tool_calls or ())
    began_ms, stopped = message.count("timestamp"), message.text("stopReason")
    ended_ns = round(entry.at.timestamp() * 1_000) * 1_000_000
    began_ns = None if began_ms is None else began_ms * 1_000_000
    took_ns = None if began_ns is None or began_ns > ended_ns else ended_ns - began_ns
    error = message.text("errorMessage")
    facts: dict[str, Any] = {
        "provider_name": message.text("provider"),
        "model": message.text("model"),
        "request_id": response_id,
        "prompt_tokens": usage.count("input"),
        "completion_tokens": usage.count("output"),
        "prompt_tokens_details": {
            "cache_read_tokens": usage.count("cacheRead"),
            "cache_write_tokens": usage.count("cacheWrite"),
        },
        "input_includes_cache": False,
        "output_includes_reasoning": True,
        "status": _STATUS.get(stopped or "", "success"),
        "stop_reason": _STOP_REASONS.get(stopped or ""),
        "error_type": "api_error" if stopped == "error" else None,
        "error_data": {"message": error} if error else None,
        "step_start_ns": began_ns,
        "step_ns": took_ns,
        "llm_request_start_ns": began_ns,
        "llm_request_ns": took_ns,
    }
    return c.RecordStep(step_id, facts, [answer])


def _message(
    role: str, entry: Entry, organization: str, step_id: str | None = None
) -> Message:  # fmt: skip
    cost = entry.message.object("usage")
    price = cost.fields.get("cost") if cost else None
    parts, calls = _content(entry.message)
    return _made(
        entry,
        organization,
        role=role,
        content=parts or None,
        tool_calls=calls or None,
        model=entry.message.text("model"),
        step_id=step_id,
        extra={"cost": price} if price else None,
    )


def _returned(entry: Entry, organization: str, callers: dict[str, str]) -> Message:
    message = entry.message
    call_id = message.text("toolCallId")
    if call_id is None:
        raise message.fault("toolCallId", "the id of a tool call")
    parts, _ = _content(message)
    failed = message.flag("isError")
    text = "\n".join(part.text for part in parts if isinstance(part, TextContent))
    return _made(
        entry,
        organization,
        role="tool",
        tool_call_id=call_id,
        step_id=callers.get(call_id),
        tool_returns=[
            ToolReturn(
                tool_call_id=call_id,
                status="error" if failed else "success",
                func_response=text,
            )
        ],
    )


def _content(message: Foreign) -> tuple[list[ContentPart], list[ToolCall]]:
    """Return text, reasoning and calls; for an image, only a placeholder."""
    given = message.fields.get("content")
    if isinstance(given, str):
        return [TextContent(text=given)], []
    parts: list[ContentPart] = []
    calls: list[ToolCall] = []
    for block in message.objects("content"):
        kind = block.text("type")
        if kind == "text":
            parts.append(TextContent(text=block.text("text") or ""))
        elif kind == "thinking":
            thought = block.text("thinking") or ""
            parts.append(
                ReasoningContent(
                    is_native=True, reasoning=thought, signature=block.text("thinkingSignature")
                )
            )
        elif kind == "toolCall":
            arguments = json.dumps(block.fields.get("arguments") or {}, ensure_ascii=False)
            calls.append(
                ToolCall(
                    id=block.text("id") or "call",
                    function=Function(name=block.text("name") or "?", arguments=arguments),
                )
            )
        else:
            parts.append(TextContent(text=f"[{kind} left out]"))
    return parts, calls


def _made(entry: Entry, organization: str, **fields: Any) -> Message:
    message_id = derived_id("message", SOURCE, organization, entry.key)
    try:
        return Message.model_validate({"id": message_id, "created_at": entry.at, **fields})
    except ValidationError as e:
        raise InvalidArgument(f"message of {entry.at.isoformat()}: {describe(e)}") from e


def _end(turn: Turn, called: set[str]) -> c.CompleteRun | c.FailRun | c.CancelRun:
    returned = {entry.message.text("toolCallId") for entry in turn.entries}
    answers = [entry.message for entry in turn.entries if entry.message.text("role") == "assistant"]
    stopped = answers[-1].text("stopReason") if answers else None
    if stopped == "aborted":
        return c.CancelRun("interrupted by the user")
    if stopped == "error":
        return c.FailRun("llm_api_error", "api_error", answers[-1].text("errorMessage"))
    if stopped == "length":
        return c.FailRun("max_tokens_exceeded")
    if called - returned:
        return lost_tool()
    return c.CompleteRun("end_turn")
