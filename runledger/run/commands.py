"""What can be asked of a run, as data. `runledger.run.decisions` says what follows."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from runledger.events import Feedback
from runledger.messages import Message


@dataclass(frozen=True, slots=True)
class CreateRun:
    """Create the run."""

    agent_id: str
    project_id: str | None = None
    conversation_id: str | None = None
    hold_conversation: bool = False
    base_template_id: str | None = None
    background: bool | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    request_config: Mapping[str, Any] | None = None
    callback_url: str | None = None
    exist_ok: bool = True


@dataclass(frozen=True, slots=True)
class StartRun:
    """Say that work on the run began."""


@dataclass(frozen=True, slots=True)
class StartStep:
    """Say that a step began."""

    step_id: str
    provider_name: str | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class RecordStep:
    """Record a step's end, and the messages that it exchanged, in one append.

    `facts` are the fields of runledger.events.StepRecorded that the caller knows.
    """

    step_id: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    messages: Sequence[Message] = ()
    approval_deadline: datetime | None = None


@dataclass(frozen=True, slots=True)
class RecordMessages:
    """Record messages; those with an `approval` role and tool calls may carry a deadline."""

    messages: Sequence[Message]
    approval_deadline: datetime | None = None


@dataclass(frozen=True, slots=True)
class PatchMetadata:
    """Set the top-level keys of `patch`, take away those of `remove`."""

    patch: Mapping[str, Any] = field(default_factory=dict)
    remove: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class RecordRunFeedback:
    """Record how a person judged the run; None takes an earlier judgement back."""

    feedback: Feedback | None


@dataclass(frozen=True, slots=True)
class RecordStepFeedback:
    """Record how a person judged a step; `tags` take the place of the step's, None leaves them."""

    step_id: str
    feedback: Feedback | None
    tags: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class RecordHeartbeat:
    """Say that the worker is alive."""


@dataclass(frozen=True, slots=True)
class CompleteRun:
    """End the run well; without a `stop_reason`, as `end_turn` or as it has ended well already.

    Without `run_ns`, the clocks tell how long it took. `measured=False` says that nobody can: the
    run is recorded when it is over already, and a duration of 0 would be a false one.
    """

    stop_reason: str | None = "end_turn"
    run_ns: int | None = None
    measured: bool = True


@dataclass(frozen=True, slots=True)
class FailRun:
    """End the run badly; what is not told, as in CompleteRun (`error`)."""

    stop_reason: str | None = "error"
    error_type: str | None = None
    error_message: str | None = None
    error_data: Mapping[str, Any] | None = None
    run_ns: int | None = None
    measured: bool = True


@dataclass(frozen=True, slots=True)
class CancelRun:
    """Cancel the run and deny every open tool call.

    A run that has ended stays as it is; `strict` refuses the command where it ended otherwise.
    """

    reason: str | None = None
    run_ns: int | None = None
    measured: bool = True
    strict: bool = False


@dataclass(frozen=True, slots=True)
class ExpireRun:
    """Fail the run as lost if nothing was heard of it since `silent_since`."""

    silent_since: datetime


@dataclass(frozen=True, slots=True)
class ExpireApprovals:
    """Deny the open tool calls if their deadline is over at the command's time."""


@dataclass(frozen=True, slots=True)
class DeleteRun:
    """Take the run out of every read model and getter."""


@dataclass(frozen=True, slots=True)
class RequestCallback:
    """Ask for the callback of a run that ended to be sent again."""


@dataclass(frozen=True, slots=True)
class RecordCallbackAttempt:
    """Record one attempt to deliver the callback; `facts` as in CallbackAttempted.

    `asked` is the version of the event that had asked for the delivery when the attempt began.
    """

    facts: Mapping[str, Any]
    asked: int | None = None


Command = (
    CreateRun
    | StartRun
    | StartStep
    | RecordStep
    | RecordMessages
    | PatchMetadata
    | RecordRunFeedback
    | RecordStepFeedback
    | RecordHeartbeat
    | CompleteRun
    | FailRun
    | CancelRun
    | ExpireRun
    | ExpireApprovals
    | DeleteRun
    | RequestCallback
    | RecordCallbackAttempt
)
