"""The pure mapping of a turn to a run."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from pydantic import ValidationError

from runledger.errors import InvalidArgument, describe
from runledger.ids import derived_id, foreign_id
from runledger.importers.codex.session import CALLS, Answer, Result, Turn
from runledger.importers.foreign import Foreign
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

AGENT_ID: Final = "agent-codex"
SOURCE: Final = "codex"


def run_id(turn: Turn, organization: str) -> str:
    """Return the run's id: a copy of the turn in a forked session has the same one."""
    return derived_id("run", SOURCE, organization, turn.key)


def is_over(turn: Turn, now: datetime) -> bool:
    """Whether the turn is complete."""
    ended = turn.last_word in ("aborted", "complete")
    return not turn.last or ended or now - turn.last_at > QUIET


def commands(turn: Turn, organization: str, now: datetime, project: str | None) -> Iterator[Timed]:
    """Yield the turn's commands with their times.

    turn: the content of the session's file, up to the next prompt or to the end of the file.
    organization: the organization of the run; a part of every id.
    now: the present time; it decides whether the last turn is over.
    project: the run's project id, or None.

    Raises:
        InvalidArgument: if the content is wrong; the message names the place.
    """
    header, over = turn.header, is_over(turn, now)
    metadata: dict[str, Any] = {"source": SOURCE, "session_id": header.session_id, **header.facts}
    conversation_id = foreign_id("conversation", header.session_id)
    yield (
        turn.started_at,
        c.CreateRun(AGENT_ID, project, conversation_id=conversation_id, metadata=metadata),
    )
    yield turn.started_at, c.StartRun()
    if turn.prompt is not None:
        prompt = _made(
            (turn.key, "prompt"), organization, turn.started_at, role="user", content=turn.prompt
        )
        yield turn.started_at, c.RecordMessages([prompt])
    callers: dict[str, str | None] = {}
    for number, entry in enumerate(turn.entries):
        if isinstance(entry, Result):
            yield entry.at, c.RecordMessages([_returned(turn, entry, organization, callers)])
        elif entry.usage is not None:
            yield entry.at, _step(turn, entry, organization, callers)
        elif over:
            # It has no usage: its text is kept, and no step is invented.
            message = _message((turn.key, str(number)), entry, organization, None, callers)
            yield entry.at, c.RecordMessages([message])
        else:
            break  # Its usage is not written yet, and later content comes after it.
    if turn.compactions:
        yield turn.last_at, c.PatchMetadata(turn.compactions)
    if over:
        yield turn.last_at, _end(turn, callers)


def _step(
    turn: Turn, answer: Answer, organization: str, callers: dict[str, str | None]
) -> c.RecordStep:
    step_id = derived_id("step", SOURCE, organization, answer.key)
    usage = answer.usage or {}
    cached = ("cached_input_tokens", "cache_write_input_tokens")
    thought = usage.get("reasoning_output_tokens")
    facts: dict[str, Any] = {
        "provider_name": turn.header.provider or "openai",
        "model": answer.model,
        "prompt_tokens": usage.get("input_tokens"),
        "completion_tokens": usage.get("output_tokens"),
        "total_tokens": usage.get("total_tokens"),
        "prompt_tokens_details": {name: usage[name] for name in cached if name in usage},
        "completion_tokens_details": None if thought is None else {"reasoning_tokens": thought},
        "input_includes_cache": True,
        "output_includes_reasoning": True,
        "tags": ["usage-jumped"] if answer.jumped else [],
    }
    messages = (
        [_message((answer.key,), answer, organization, step_id, callers)] if answer.items else []
    )
    return c.RecordStep(step_id, facts, messages)


def _message(
    key: tuple[str, ...],
    answer: Answer,
    organization: str,
    step_id: str | None,
    callers: dict[str, str | None],
) -> Message:
    calls = [_call(item) for item in answer.items if item.text("type") in CALLS]
    callers.update((call.id, step_id) for call in calls)
    parts = [part for item in answer.items for part in _parts(item)]
    return _made(
        key,
        organization,
        answer.at,
        role="assistant",
        model=answer.model,
        step_id=step_id,
        content=parts or None,
        tool_calls=calls or None,
    )


def _parts(item: Foreign) -> Iterator[ContentPart]:
    if item.text("type") == "reasoning":
        text = "\n".join(part.text("text") or "" for part in item.objects("summary"))
        if text:
            yield ReasoningContent(is_native=True, reasoning=text)
    elif item.text("type") == "message":
        for part in item.objects("content"):
            yield TextContent(text=part.text("text") or f"[{part.text('type')} left out]")


def _call(item: Foreign) -> ToolCall:
    kind = item.text("type") or "?"
    name = item.text("name") or kind.removesuffix("_call")
    given: Any = next(
        (item.fields[key] for key in ("arguments", "input", "action") if key in item.fields), {}
    )
    arguments = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
    call_id = item.text("call_id") or item.text("id") or "call"
    return ToolCall(id=call_id, function=Function(name=name, arguments=arguments))


def _returned(
    turn: Turn, entry: Result, organization: str, callers: dict[str, str | None]
) -> Message:
    call_id = entry.item.text("call_id")
    if call_id is None:
        raise entry.item.fault("call_id", "the id of a tool call")
    output, failed = entry.item.fields.get("output"), False
    if isinstance(output, dict):
        failed = output.get("success") is False
        output = output.get("content", output)
    text = output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)
    return _made(
        (turn.key, "result", call_id),
        organization,
        entry.at,
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


def _made(key: tuple[str, ...], organization: str, at: datetime, **fields: Any) -> Message:
    message_id = derived_id("message", SOURCE, organization, *key)
    try:
        return Message.model_validate({"id": message_id, "created_at": at, **fields})
    except ValidationError as e:
        raise InvalidArgument(f"message of {at.isoformat()}: {describe(e)}") from e


def _end(turn: Turn, called: dict[str, str | None]) -> c.CompleteRun | c.FailRun | c.CancelRun:
    if turn.last_word == "aborted":
        return c.CancelRun(turn.reason or "interrupted")
    if turn.last_word == "error":
        return c.FailRun("llm_api_error", "api_error", turn.reason)
    results = (entry.item for entry in turn.entries if isinstance(entry, Result))
    if turn.last_word != "complete" and called.keys() - {item.text("call_id") for item in results}:
        return lost_tool()
    return c.CompleteRun("end_turn")
