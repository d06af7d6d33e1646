"""A run's state, and how each event changes it.

`evolve` changes the state in place: copying a run of 10,000 steps for every step would make a step
cost as much as the whole run. Only committed events are folded, so nothing is ever undone.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple

from runledger.events import (
    CallbackAttempted,
    CallbackRequested,
    Event,
    Feedback,
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
from runledger.messages import MessageFacts
from runledger.run.delivery import Delivery, webhook_id
from runledger.run.receipts import read_receipt
from runledger.run.transitions import AWAITING, DELETED, TRANSITIONS, RunStatus
from runledger.usage import COUNTED


@dataclass(slots=True)
class OpenCall:
    """A tool call without a return; `requested_by` is the approval request that asks for it."""

    raw_id: str
    name: str
    requested_by: str | None = None
    step_id: str | None = None
    answered: bool = False


class Judgement(NamedTuple):
    """The last feedback on a step, and the last tags in any feedback; None if there were none."""

    feedback: Feedback | None
    tags: list[str] | None


@dataclass(slots=True)
class Run:
    """One agent run, folded from its stream up to `version`."""

    run_id: str
    organization: str
    agent_id: str
    project_id: str | None
    born: int
    created_at: datetime
    status: RunStatus = RunStatus.CREATED
    deleted: bool = False
    version: int = 0
    stop_reason: str | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    run_ns: int | None = None
    last_event_at: datetime | None = None
    last_recorded_at: datetime | None = None
    conversation_id: str | None = None
    holds_conversation: bool = False
    base_template_id: str | None = None
    background: bool | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    request_config: dict[str, Any] | None = None
    callback_url: str | None = None
    callback_sent_at: datetime | None = None
    callback_status_code: int | None = None
    callback_error: str | None = None
    delivery: Delivery | None = None
    """The delivery to the callback_url of a run that ended; None if there is none."""
    error_type: str | None = None
    error_message: str | None = None
    error_data: dict[str, Any] | None = None
    num_steps: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    fresh_input_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    tools_used: dict[str, None] = field(default_factory=dict)
    tool_ids: dict[str, None] = field(default_factory=dict)
    steps: dict[str, int] = field(default_factory=dict)
    """step_id → version of the event that recorded it."""
    open_steps: dict[str, int] = field(default_factory=dict)
    """step_id → version of the StepStarted without a later StepRecorded."""
    messages: dict[str, int] = field(default_factory=dict)
    """message_id → version of the event that recorded it."""
    call_counts: dict[str, int] = field(default_factory=dict)
    """The model's tool call id → the number of calls with it."""
    open_calls: dict[str, OpenCall] = field(default_factory=dict)
    approval_deadline: datetime | None = None
    feedback: Feedback | None = None
    step_feedback: dict[str, Judgement] = field(default_factory=dict)
    """step_id → the last feedback on the step."""
    receipts: dict[str, str] = field(default_factory=dict)
    """Digest of an idempotency key → digest of the request's content."""

    @property
    def ended(self) -> bool:
        """Whether the run has a terminal status."""
        return self.status in (RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED)

    @property
    def state(self) -> str:
        """The key of the run's state in the transition table."""
        if self.deleted:
            return DELETED
        if self.status is RunStatus.COMPLETED and self.stop_reason == "requires_approval":
            return AWAITING
        return self.status.value


def _created(run: Run, event: RunCreated, _version: int) -> None:
    run.conversation_id = event.conversation_id
    run.holds_conversation = event.hold_conversation
    run.base_template_id = event.base_template_id
    run.background = event.background
    run.metadata = dict(event.metadata)
    run.request_config = event.request_config
    run.callback_url = event.callback_url


def _began(run: Run, event: Event, _version: int) -> None:
    if run.started_at is None:
        run.started_at = event.occurred_at


def _step_started(run: Run, event: StepStarted, version: int) -> None:
    _began(run, event, version)
    run.open_steps[event.step_id] = version


def _step_recorded(run: Run, event: StepRecorded, version: int) -> None:
    if not event.late:
        _began(run, event, version)
    run.steps[event.step_id] = version
    run.open_steps.pop(event.step_id, None)
    run.num_steps += 1
    run.prompt_tokens += event.prompt_tokens or 0
    run.completion_tokens += event.completion_tokens or 0
    run.total_tokens += event.total_tokens or 0
    for bucket in COUNTED:
        count = getattr(event, bucket)
        if count is not None:
            setattr(run, bucket, (getattr(run, bucket) or 0) + count)


def _message(run: Run, message: MessageFacts, version: int) -> None:
    run.messages[message.message_id] = version
    for call in message.tool_calls:
        run.tools_used[call.name] = None
        if call.tool_id is not None:
            run.tool_ids[call.tool_id] = None
        known = run.open_calls.get(call.tool_call_id)
        requested_by = message.message_id if message.role == "approval" else None
        if known is None:
            raw_id = call.raw_id or call.tool_call_id
            run.call_counts[raw_id] = run.call_counts.get(raw_id, 0) + 1
            run.open_calls[call.tool_call_id] = OpenCall(
                raw_id, call.name, requested_by, message.step_id
            )
        elif requested_by is not None:
            known.requested_by = requested_by
    for returned in message.tool_returns:
        run.open_calls.pop(returned.tool_call_id, None)
    for answer in message.approvals:
        if not answer.approve:
            run.open_calls.pop(answer.tool_call_id, None)
        elif answer.tool_call_id in run.open_calls:
            run.open_calls[answer.tool_call_id].answered = True


def _messages_recorded(run: Run, event: MessagesRecorded, version: int) -> None:
    if not event.late:
        _began(run, event, version)
    for message in event.messages:
        _message(run, message, version)
    # Any answer ends the wait: the deadline is for the person's first answer.
    if event.approval_deadline is not None or any(m.approvals for m in event.messages):
        run.approval_deadline = event.approval_deadline


def _metadata_patched(run: Run, event: RunMetadataPatched, _version: int) -> None:
    run.metadata.update(event.patch)
    for key in event.removed:
        run.metadata.pop(key, None)


def _feedback(run: Run, event: RunFeedbackRecorded, _version: int) -> None:
    run.feedback = event.feedback


def _step_feedback(run: Run, event: StepFeedbackRecorded, _version: int) -> None:
    before = run.step_feedback.get(event.step_id)
    tags = before.tags if before is not None and event.tags is None else event.tags
    run.step_feedback[event.step_id] = Judgement(event.feedback, tags)


def _ended(run: Run, event: RunCompleted | RunFailed | RunCancelled, version: int) -> None:
    if run.callback_url is not None:
        run.delivery = Delivery(webhook_id(run.run_id, version), asked=version)
    run.stop_reason = event.stop_reason
    run.holds_conversation = False
    if run.completed_at is None:
        run.completed_at = event.occurred_at
        run.run_ns = event.run_ns
    if isinstance(event, RunFailed):
        run.error_type = event.error_type
        run.error_message = event.error_message
        run.error_data = event.error_data


def _denied(run: Run, event: ToolCallsDenied, _version: int) -> None:
    for call in event.tool_calls:
        run.open_calls.pop(call.tool_call_id, None)
    run.approval_deadline = None


def _callback_requested(run: Run, _event: CallbackRequested, version: int) -> None:
    if run.delivery is not None:
        run.delivery.requested(version)


def _callback(run: Run, event: CallbackAttempted, _version: int) -> None:
    run.callback_sent_at = event.occurred_at
    run.callback_status_code = event.status_code
    run.callback_error = event.error
    if run.delivery is not None:
        run.delivery.attempted(event)


def _deleted(run: Run, _event: RunDeleted, _version: int) -> None:
    run.deleted = True
    run.holds_conversation = False


_FOLDS: Final[dict[type[Event], Callable[[Run, Any, int], None]]] = {
    RunCreated: _created,
    RunStarted: _began,
    StepStarted: _step_started,
    StepRecorded: _step_recorded,
    MessagesRecorded: _messages_recorded,
    RunMetadataPatched: _metadata_patched,
    RunFeedbackRecorded: _feedback,
    StepFeedbackRecorded: _step_feedback,
    HeartbeatRecorded: _began,
    RunCompleted: _ended,
    RunFailed: _ended,
    RunCancelled: _ended,
    ToolCallsDenied: _denied,
    RunDeleted: _deleted,
    CallbackRequested: _callback_requested,
    CallbackAttempted: _callback,
}


def evolve(run: Run | None, run_id: str, version: int, event: Event) -> Run:
    """Fold the event at `version` of stream `run_id` into `run`; the first event makes the run."""
    if run is None:
        if not isinstance(event, RunCreated):
            raise AssertionError(f"stream {run_id!r} begins with {event.topic!r}")
        run = Run(
            run_id,
            event.organization,
            event.agent_id,
            event.project_id,
            event.born,
            event.occurred_at,
        )
    _FOLDS[type(event)](run, event, version)
    rule = TRANSITIONS[type(event)]
    if rule.to not in (None, DELETED, run.status) and not (
        rule.late and getattr(event, "late", False)
    ):
        run.status = RunStatus(rule.to)
    run.version = version
    if (receipt := read_receipt(event.correlation_id)) is not None:
        run.receipts[receipt.key] = receipt.content
    run.last_event_at = max(run.last_event_at or event.occurred_at, event.occurred_at)
    run.last_recorded_at = event.recorded_at
    return run
