"""The pure mapping of a turn to a run."""

from collections import Counter
from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from pydantic import ValidationError

from runledger.errors import InvalidArgument, describe
from runledger.ids import derived_id, foreign_id
from runledger.importers.claude_code import blocks
from runledger.importers.claude_code.turn import (
    LIFETIMES,
    MAIN,
    USAGE,
    ModelCall,
    Returned,
    Turn,
)
from runledger.importers.recorder import Timed
from runledger.importers.session_end import QUIET, lost_tool
from runledger.messages import Message
from runledger.run import commands as c

AGENT_ID: Final = "agent-claude-code"
SOURCE: Final = "claude-code"
ANSWERED: Final = timedelta(minutes=5)
"""After this time without a new line, the last answer of a turn counts as complete."""

_STOP_REASONS: Final = {"end_turn": "end_turn", "max_tokens": "max_tokens_exceeded"}
_COMMAND: Final = ("<command-name>", "<command-message>")


def run_id(turn: Turn, organization: str) -> str:
    """Return the run's id: a copy of the turn in another session's file has the same one."""
    return derived_id("run", SOURCE, organization, turn.uuid)


def is_run(turn: Turn) -> bool:
    """Whether a model was called: a command that the session answers itself is not a run."""
    if turn.prompt is None:
        return bool(turn.calls)
    text = "".join(str(block.get("text", "")) for block in turn.prompt.blocks).lstrip()
    return bool(turn.entries) or not text.startswith(_COMMAND)


def is_over(turn: Turn, now: datetime) -> bool:
    """Whether the turn is complete."""
    return turn.next_at is not None or turn.run_ns is not None or _silence(turn, now) > QUIET


def _silence(turn: Turn, now: datetime) -> timedelta:
    return now - max(turn.last_at, turn.written_at or turn.last_at)


def commands(
    turn: Turn, organization: str, now: datetime, counted: Collection[str], project: str | None
) -> Iterator[Timed]:
    """Yield the turn's commands with their times.

    turn: the content of the session's file, up to the next prompt or to the end of the file.
    organization: the organization of the run; a part of every id.
    now: the present time; it decides whether the last turn and the last answer are complete.
    counted: message ids of calls that are counted in another run; they are left out.
    project: the run's project id, or None.

    Raises:
        InvalidArgument: if the ledger refuses a message.
    """
    over = is_over(turn, now)
    metadata: dict[str, Any] = {"source": SOURCE, "session_id": turn.session_id, **turn.facts}
    conversation_id = foreign_id("conversation", turn.session_id)
    yield (
        turn.started_at,
        c.CreateRun(AGENT_ID, project, conversation_id=conversation_id, metadata=metadata),
    )
    yield turn.started_at, c.StartRun()
    if turn.prompt is not None:
        prompt = _made(
            ("prompt", turn.uuid),
            organization,
            turn.started_at,
            role="user",
            content=blocks.parts(turn.prompt.blocks) or None,
        )
        yield turn.started_at, c.RecordMessages([prompt])
    for entry in turn.entries:
        if isinstance(entry, Returned):
            if turn.tools[entry.tool_id] not in counted:
                yield entry.at, c.RecordMessages([_returned(turn, entry, organization)])
        elif entry.message_id not in counted and (
            over
            or entry.answered
            # Reported with the counts of the whole answer.
            or entry.stop_reason is not None
            or _silence(turn, now) > ANSWERED
        ):
            yield entry.last_at, _step(turn, entry, organization)
    if turn.compactions:
        yield turn.last_at, c.PatchMetadata(turn.compactions)
    if over:
        yield turn.last_at, _end(turn)


def not_understood(turn: Turn) -> Counter[str]:
    """Count content that is not imported: content of unknown types, results without a call."""
    found = Counter(
        f"content of type {block.get('type')}"
        for call in turn.calls.values()
        for _, block in call.blocks.values()
        if not blocks.is_known(block)
    )
    if turn.without_call:
        found["result of a tool call that is not in the file"] = turn.without_call
    return found


def _step_id(message_id: str, organization: str) -> str:
    return derived_id("step", SOURCE, organization, message_id)


def _step(turn: Turn, call: ModelCall, organization: str) -> c.RecordStep:
    step_id = _step_id(call.message_id, organization)
    given = dict(call.usage)
    facts: dict[str, Any] = {
        "provider_name": "anthropic",
        "model": call.model,
        "request_id": call.request_id or call.message_id,
        "prompt_tokens": given.get("input_tokens"),
        "completion_tokens": given.get("output_tokens"),
        "prompt_tokens_details": {
            name: given[name] for name in (*USAGE[2:], *LIFETIMES) if name in given
        },
        "input_includes_cache": False,
        "output_includes_reasoning": True,
        "stop_reason": _STOP_REASONS.get(call.stop_reason or ""),
        "step_start_ns": _ns(call.first_at),
        "tags": list(_tags(turn, call)),
    }
    messages = [
        _made(
            (call.message_id, key),
            organization,
            at,
            role="assistant",
            content=blocks.parts([block]) or None,
            model=call.model,
            tool_calls=blocks.tool_calls([block]) or None,
            step_id=step_id,
        )
        for key, (at, block) in call.blocks.items()
        if blocks.is_known(block)
    ]
    return c.RecordStep(step_id, facts, messages)


def _tags(turn: Turn, call: ModelCall) -> Iterator[str]:
    if call.thread != MAIN:
        kind = turn.kinds.get(turn.tasks.get(call.thread, ""))
        yield f"subagent:{kind}" if kind else "subagent"
    if call.stop_reason is None:
        # The count at the answer's beginning: the source does not have the final one.
        yield "output-partial"
    if call.retried:
        yield "retried"


def _ns(at: datetime) -> int:
    return round(at.timestamp() * 1_000_000) * 1_000


def _returned(turn: Turn, entry: Returned, organization: str) -> Message:
    return _made(
        ("result", entry.tool_id),
        organization,
        entry.at,
        role="tool",
        tool_call_id=entry.tool_id,
        tool_returns=[blocks.tool_return(entry.block)],
        step_id=_step_id(turn.tools[entry.tool_id], organization),
    )


def _made(key: tuple[str, str], organization: str, at: datetime, **fields: Any) -> Message:
    message_id = derived_id("message", SOURCE, organization, *key)
    try:
        return Message.model_validate({"id": message_id, "created_at": at, **fields})
    except ValidationError as e:
        raise InvalidArgument(f"{' '.join(key)}: {describe(e)}") from e


def _end(turn: Turn) -> c.CompleteRun | c.FailRun | c.CancelRun:
    if turn.last_word == "interrupted":
        return c.CancelRun("interrupted by the user")
    if turn.last_word == "error":
        return c.FailRun("llm_api_error", "api_error", turn.error or None, run_ns=turn.run_ns)
    if turn.open_tools():
        return lost_tool()
    return c.CompleteRun("end_turn", turn.run_ns)
