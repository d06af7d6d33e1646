"""The commands on a run, as data; `runledger.run.decisions` decides their events."""

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
    """Record that work on the run began."""


@dataclass(frozen=True, slots=True)
class StartStep:
    """Record that a step began."""

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
    """Set the top-level keys of `patch`, and remove those of `remove`."""

    patch: Mapping[str, Any] = field(default_factory=dict)
    remove: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class RecordRunFeedback:
    """Record a person's feedback on the run; None withdraws earlier feedback."""

    feedback: Feedback | None


@dataclass(frozen=True, slots=True)
class RecordStepFeedback:
    """Record a person's feedback on a step; `tags` replace the step's tags, None leaves them."""

    step_id: str
    feedback: Feedback | None
    tags: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class RecordHeartbeat:
    """Record that the worker is alive."""


@dataclass(frozen=True, slots=True)
class CompleteRun:
    """Complete the run; `stop_reason` is `end_turn` by default, or that of an earlier completion.

    Without `run_ns`, the duration is computed from the clocks. `measured=False` says that it is
    unknown: the run is recorded after its end, and a duration of 0 would be wrong.
    """

    stop_reason: str | None = "end_turn"
    run_ns: int | None = None
    measured: bool = True


@dataclass(frozen=True, slots=True)
class FailRun:
    """Fail the run; defaults are as in CompleteRun, with the stop reason `error`."""

    stop_reason: str | None = "error"
    error_type: str | None = None
    error_message: str | None = None
    error_data: Mapping[str, Any] | None = None
    run_ns: int | None = None
    measured: bool = True


@dataclass(frozen=True, slots=True)
class CancelRun:
    """Cancel the run and deny every open tool call.

    A run that has ended stays as it is; with `strict`, the command is refused if it ended
    otherwise.
    """

    reason: str | None = None
    run_ns: int | None = None
    measured: bool = True
    strict: bool = False


@dataclass(frozen=True, slots=True)
class ExpireRun:
    """Fail the run as lost if it has no event since `silent_since`."""

    silent_since: datetime


@dataclass(frozen=True, slots=True)
class ExpireApprovals:
    """Deny the open tool calls if their deadline has passed at the command's time."""


@dataclass(frozen=True, slots=True)
class DeleteRun:
    """Remove the run from every read model and getter."""


@dataclass(frozen=True, slots=True)
class RequestCallback:
    """Request that the callback of an ended run is sent again."""


@dataclass(frozen=True, slots=True)
class RecordCallbackAttempt:
    """Record one attempt to deliver the callback; `facts` as in CallbackAttempted.

    `asked` is the version of the event that had requested the delivery when the attempt began.
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
