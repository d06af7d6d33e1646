"""Bodies of commands: the arguments of the ledger's methods, as JSON has them."""

from typing import Any

from pydantic import AwareDatetime, Field

from runledger.events import Feedback
from runledger.server.route import Strict

Object = dict[str, Any]


class Timed(Strict):
    """What may be recorded later than it happened."""

    at: AwareDatetime | None = None


class CreateRun(Timed):
    """See RunLedger.create_run."""

    agent_id: str
    run_id: str | None = None
    project_id: str | None = None
    conversation_id: str | None = None
    hold_conversation: bool = False
    base_template_id: str | None = None
    background: bool | None = None
    metadata: Object | None = None
    request_config: Object | None = None
    callback_url: str | None = None
    status: str | None = None
    stop_reason: str | None = None
    completed_at: AwareDatetime | None = None
    run_ns: int | None = None
    exist_ok: bool = True


class UpdateRun(Strict):
    """See RunLedger.update_run."""

    status: str | None = None
    stop_reason: str | None = None
    completed_at: AwareDatetime | None = None
    metadata: Object | None = None
    remove_metadata: list[str] = Field(default_factory=list)
    total_duration_ns: int | None = None
    error_type: str | None = None
    error_message: str | None = None


class StartStep(Timed):
    """See RunLedger.start_step."""

    step_id: str | None = None
    provider: str | None = None
    model: str | None = None


class RecordStep(Timed):
    """See RunLedger.record_step; `facts` are the fields of an event `run.step_recorded`."""

    step_id: str | None = None
    provider: str | None = None
    messages: list[Object] = Field(default_factory=list)
    approval_deadline: AwareDatetime | None = None
    facts: Object = Field(default_factory=dict)


class RecordMessages(Timed):
    """See RunLedger.record_messages."""

    messages: list[Object]
    approval_deadline: AwareDatetime | None = None


class PatchMetadata(Timed):
    """See RunLedger.patch_metadata."""

    patch: Object | None = None
    remove: list[str] = Field(default_factory=list)


class CompleteRun(Timed):
    """See RunLedger.complete_run."""

    stop_reason: str = "end_turn"
    run_ns: int | None = None


class FailRun(Timed):
    """See RunLedger.fail_run."""

    stop_reason: str = "error"
    error_type: str | None = None
    error_message: str | None = None
    error_data: Object | None = None
    run_ns: int | None = None


class CancelRun(Timed):
    """See RunLedger.cancel_run."""

    reason: str | None = None


class CancelRuns(Strict):
    """See RunLedger.cancel_runs."""

    agent_id: str | None = None
    conversation_id: str | None = None
    without_conversation: bool = False
    reason: str | None = None


class RunFeedback(Timed):
    """See RunLedger.record_run_feedback."""

    feedback: Feedback | None


class StepFeedback(RunFeedback):
    """See RunLedger.record_step_feedback."""

    tags: list[str] | None = None
    run_id: str | None = None


class RegisterAgent(Strict):
    """See RunLedger.register_agent."""

    project_id: str | None = None
    name: str | None = None
    agent_type: str | None = None
