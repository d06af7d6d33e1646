"""The state machine of a run as data: which event is allowed in which state, and the next state.

`docs/state_machine.md` is drawn from this table.
"""

from enum import StrEnum
from typing import Final, NamedTuple

from runledger.events import (
    CallbackAttempted,
    CallbackRequested,
    Event,
    HeartbeatRecorded,
    MessagesRecorded,
    RunCancelled,
    RunCompleted,
    RunCreated,
    RunDeleted,
    RunFailed,
    RunFeedbackRecorded,
    RunMetadataPatched,
    RunStarted,
    StepFeedbackRecorded,
    StepRecorded,
    StepStarted,
    ToolCallsDenied,
)


class RunStatus(StrEnum):
    """The status of a run; the last three are terminal."""

    CREATED = "created"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


NONE: Final = "none"
AWAITING: Final = "completed (requires_approval)"
"""Completed, but a person's answer is outstanding: the one end that can still be cancelled."""
DELETED: Final = "deleted"

_OPEN: Final = ("created", "running")
_ENDED: Final = ("completed", AWAITING, "failed", "cancelled")
_ANY: Final = (*_OPEN, *_ENDED)


class Transition(NamedTuple):
    """`allowed`: the states in which it may happen; `to`: the next state, None for unchanged."""

    allowed: tuple[str, ...]
    to: str | None
    late: bool = False
    """Whether the event is also recorded after the end, marked as late, without changing the
    outcome."""


TRANSITIONS: Final[dict[type[Event], Transition]] = {
    RunCreated: Transition((NONE,), "created"),
    RunStarted: Transition(("created",), "running"),
    StepStarted: Transition(_OPEN, "running"),
    StepRecorded: Transition(_OPEN, "running", late=True),
    MessagesRecorded: Transition(_OPEN, "running", late=True),
    HeartbeatRecorded: Transition(_OPEN, "running"),
    RunMetadataPatched: Transition(_ANY, None),
    RunFeedbackRecorded: Transition(_ANY, None),
    StepFeedbackRecorded: Transition(_ANY, None),
    RunCompleted: Transition(_OPEN, "completed"),
    RunFailed: Transition(_OPEN, "failed"),
    RunCancelled: Transition((*_OPEN, AWAITING), "cancelled"),
    ToolCallsDenied: Transition((*_OPEN, AWAITING, "cancelled"), None),
    CallbackRequested: Transition(_ENDED, None),
    CallbackAttempted: Transition(_ENDED, None),
    RunDeleted: Transition(_ANY, DELETED),
}

STATUS_OF: Final[dict[str, RunStatus]] = {
    "end_turn": RunStatus.COMPLETED,
    "max_steps": RunStatus.COMPLETED,
    "tool_rule": RunStatus.COMPLETED,
    "requires_approval": RunStatus.COMPLETED,
    "error": RunStatus.FAILED,
    "llm_api_error": RunStatus.FAILED,
    "invalid_llm_response": RunStatus.FAILED,
    "invalid_tool_call": RunStatus.FAILED,
    "no_tool_call": RunStatus.FAILED,
    "max_tokens_exceeded": RunStatus.FAILED,
    "context_window_overflow_in_system_prompt": RunStatus.FAILED,
    "insufficient_credits": RunStatus.FAILED,
    "cancelled": RunStatus.CANCELLED,
}
"""Stop reason → the status it ends in; the only such table."""


def status_of(stop_reason: str) -> RunStatus:
    """Return the status that a stop reason ends in; raise KeyError for an unknown one."""
    return STATUS_OF[stop_reason]
