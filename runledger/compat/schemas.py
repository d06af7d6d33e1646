"""The resources of the replaced server, with its field names, defaults and strictness."""

from datetime import UTC, datetime
from typing import Any, ClassVar, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, field_validator

from runledger.compat.enums import MessageType, RunStatus, StepStatus, StopReasonType
from runledger.ids import DEFAULT_ORGANIZATION, new_id


def now() -> datetime:
    """Return the time, in UTC."""
    return datetime.now(UTC)


class LettaBase(BaseModel):
    """The base of all resources; a bare UUID as `id` gets the prefix of its kind."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True, from_attributes=True)
    id_prefix: ClassVar[str] = ""

    @field_validator("id", mode="before", check_fields=False)
    @classmethod
    def _with_prefix(cls, value: Any) -> Any:
        return f"{cls.id_prefix}-{value}" if isinstance(value, UUID) and cls.id_prefix else value

    def model_dump(self, *, to_orm: bool = False, **options: Any) -> dict[str, Any]:
        """Return the fields as a dictionary; with `to_orm`, `metadata` is called `metadata_`."""
        values = super().model_dump(**options)
        if to_orm and "metadata" in values:
            values["metadata_"] = values.pop("metadata")
        return values


class User(BaseModel):
    """The actor; any object with these two attributes is accepted."""

    model_config = ConfigDict(extra="ignore", from_attributes=True)
    id: str = Field(default_factory=lambda: new_id("user"))
    organization_id: str | None = DEFAULT_ORGANIZATION
    name: str | None = None


class LettaRequestConfig(BaseModel):
    """The options of how the messages of a run are shown."""

    use_assistant_message: bool = True
    assistant_message_tool_name: str = "send_message"
    assistant_message_tool_kwarg: str = "message"
    include_return_message_types: list[MessageType] | None = None

    @classmethod
    def from_letta_request(cls, request: Any) -> Self:
        """Return the four fields of a request, which has them as attributes."""
        return cls(**{name: getattr(request, name) for name in cls.model_fields})


class Run(LettaBase):
    """One agent run. Times have a zone; `total_duration_ns` is in every form of a run."""

    id_prefix = "run"
    id: str = Field(default_factory=lambda: new_id("run"), pattern=r"^(job|run)-[a-fA-F0-9]{8}")
    status: RunStatus = RunStatus.created
    created_at: datetime = Field(default_factory=now)
    completed_at: datetime | None = None
    agent_id: str
    conversation_id: str | None = None
    base_template_id: str | None = None
    background: bool | None = None
    metadata: dict[str, Any] | None = Field(default=None, validation_alias="metadata_")
    request_config: LettaRequestConfig | None = None
    stop_reason: StopReasonType | None = None
    callback_url: str | None = None
    callback_sent_at: datetime | None = None
    callback_status_code: int | None = None
    callback_error: str | None = None
    ttft_ns: int | None = None
    total_duration_ns: int | None = None


class RunUpdate(LettaBase):
    """The fields of a run that may be changed; None changes nothing."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True, from_attributes=True)
    status: RunStatus | None = None
    completed_at: datetime | None = None
    stop_reason: StopReasonType | None = None
    metadata: dict[str, Any] | None = Field(default=None, validation_alias="metadata_")
    total_duration_ns: int | None = None


class LettaStopReason(BaseModel):
    """The stop reason as a message of a response."""

    message_type: Literal["stop_reason"] = "stop_reason"
    stop_reason: StopReasonType


class AgentState(LettaBase):
    """The facts of an agent; `last_stop_reason` is that of its run that ended last."""

    id_prefix = "agent"
    id: str
    name: str | None = None
    agent_type: str | None = None
    project_id: str | None = None
    last_stop_reason: StopReasonType | None = None


class RunMetrics(LettaBase):
    """The metrics of a run; `id` is the run's, times and durations are nanoseconds."""

    id: str
    organization_id: str | None = None
    agent_id: str | None = None
    project_id: str | None = None
    run_start_ns: int | None = None
    run_ns: int | None = None
    num_steps: int | None = None
    tools_used: list[str] | None = None
    template_id: str | None = None
    base_template_id: str | None = None


class Step(LettaBase):
    """One step of a run."""

    id_prefix = "step"
    id: str
    origin: str | None = None
    organization_id: str | None = None
    provider_id: str | None = None
    run_id: str | None = None
    agent_id: str | None = None
    provider_name: str | None = None
    provider_category: str | None = None
    model: str | None = None
    model_handle: str | None = None
    model_endpoint: str | None = None
    context_window_limit: int | None = None
    completion_tokens: int | None = None
    prompt_tokens: int | None = None
    total_tokens: int | None = None
    cached_input_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    completion_tokens_details: dict[str, Any] | None = None
    prompt_tokens_details: dict[str, Any] | None = None
    stop_reason: StopReasonType | None = None
    tags: list[str] = []
    tid: str | None = None
    trace_id: str | None = None
    request_id: str | None = None
    messages: list[Any] = []
    feedback: str | None = None
    project_id: str | None = None
    error_type: str | None = None
    error_data: dict[str, Any] | None = None
    status: StepStatus | None = StepStatus.PENDING


class StepMetrics(LettaBase):
    """The times of a step, in nanoseconds; `id` is the step's."""

    id: str
    organization_id: str | None = None
    provider_id: str | None = None
    run_id: str | None = None
    agent_id: str | None = None
    step_start_ns: int | None = None
    llm_request_start_ns: int | None = None
    llm_request_ns: int | None = None
    tool_execution_ns: int | None = None
    step_ns: int | None = None
    base_template_id: str | None = None
    template_id: str | None = None
    project_id: str | None = None


class LettaUsageStatistics(BaseModel):
    """The tokens of a run; None if no step reported the count, 0 if 0 was reported."""

    message_type: str = "usage_statistics"
    completion_tokens: int = 0
    prompt_tokens: int = 0
    total_tokens: int = 0
    step_count: int = 0
    run_ids: list[str] | None = None
    cached_input_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    context_tokens: int | None = None


class UsageStatisticsPromptTokenDetails(BaseModel):
    """The prompt tokens that were read from, or written to, a cache."""

    cached_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_creation_tokens: int | None = None


class UsageStatisticsCompletionTokenDetails(BaseModel):
    """The completion tokens that were reasoning."""

    reasoning_tokens: int | None = None


class UsageStatistics(BaseModel):
    """The usage that a provider reported for one model call."""

    completion_tokens: int = 0
    prompt_tokens: int = 0
    total_tokens: int = 0
    prompt_tokens_details: UsageStatisticsPromptTokenDetails | None = None
    completion_tokens_details: UsageStatisticsCompletionTokenDetails | None = None
