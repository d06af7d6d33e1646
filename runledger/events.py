"""The event catalogue: every fact that the log can hold, as frozen models in a closed registry.

A field is a *fact* (ids, names, numbers, times: what projections read) or *contents* (message
bodies). The two are stored separately, so that contents can be erased or encrypted without changing
a count. `born` is when the run's first event was recorded, in microseconds since 1970: every event
of a run repeats it, so that a projection finds the run's row by its place in the table and not by a
scan.
"""

from datetime import UTC, datetime
from typing import Annotated, ClassVar, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from runledger.messages import CallFacts, Json, Message, MessageFacts, Number, Text, Truth
from runledger.prices.listed import ListedPrice
from runledger.usage import DERIVED, Rule

StopReason = Literal[
    "end_turn",
    "max_steps",
    "tool_rule",
    "requires_approval",
    "error",
    "llm_api_error",
    "invalid_llm_response",
    "invalid_tool_call",
    "no_tool_call",
    "max_tokens_exceeded",
    "context_window_overflow_in_system_prompt",
    "insufficient_credits",
    "cancelled",
]
StepStatus = Literal["success", "failed", "cancelled"]
Feedback = Literal["positive", "negative"]
ViewKind = Literal["runs", "sql"]
# 64 bits, as in the read models: a larger number would be recorded and could not be projected.
Count = Annotated[Number, Field(ge=0, le=2**63 - 1)]
# Nanoseconds since 1970 have 64 bits there too, and so has the longest time between two times.
EARLIEST: Final = datetime(1900, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(2190, 1, 1, tzinfo=UTC)
Timestamp = Annotated[AwareDatetime, Field(ge=EARLIEST, lt=LATEST)]


class Event(BaseModel):
    """The fields of every event: the actor, the time it happened, and the time it was recorded."""

    # JSON has no NaN and no infinity: a value that could not be read back unchanged is refused.
    # The validators are built at first use, by any thread: building all of them takes longer than
    # most commands, many of which decode no event.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)
    topic: ClassVar[str]
    revision: ClassVar[int] = 1
    contents: ClassVar[frozenset[str]] = frozenset()
    derived: ClassVar[frozenset[str]] = frozenset()
    """Facts that are derived from others, so that a repeated event may differ in them."""

    event_id: Text
    occurred_at: Timestamp
    recorded_at: Timestamp
    organization: Text
    user: str | None = None
    correlation_id: str | None = None


class RunEvent(Event):
    """An event of a run's stream."""

    agent_id: Text
    project_id: str | None = None
    born: Count


class RunCreated(RunEvent):
    """A run was created."""

    topic = "run.created"
    conversation_id: str | None = None
    hold_conversation: Truth = False
    base_template_id: str | None = None
    background: Truth | None = None
    metadata: Json = Field(default_factory=dict)
    request_config: Json | None = None
    callback_url: str | None = None


class RunStarted(RunEvent):
    """Work on the run began."""

    topic = "run.started"


class StepStarted(RunEvent):
    """A step began; its outcome is not known yet."""

    topic = "run.step_started"
    step_id: Text
    provider_name: str | None = None
    model: str | None = None


class StepRecorded(RunEvent):
    """A step (one model call and what followed) ended, with its usage.

    Token fields are None if the provider reported nothing; times are nanoseconds. The five buckets
    are disjoint, cache_write_1h_tokens is a part of cache_write_tokens; input_rule and output_rule
    name the rule that decided (see runledger.usage). total_derived is true if the provider reported
    no total. `late` marks a step of a run that had ended.
    """

    topic = "run.step_recorded"
    revision = 3
    derived = DERIVED
    step_id: Text
    status: StepStatus = "success"
    late: Truth = False
    provider_name: str | None = None
    provider_category: str | None = None
    provider_id: str | None = None
    model: str | None = None
    model_handle: str | None = None
    model_endpoint: str | None = None
    context_window_limit: Count | None = None
    prompt_tokens: Count | None = None
    completion_tokens: Count | None = None
    total_tokens: Count | None = None
    prompt_tokens_details: Json | None = None
    completion_tokens_details: Json | None = None
    usage_details: Json | None = None
    input_includes_cache: Truth | None = None
    output_includes_reasoning: Truth | None = None
    total_derived: Truth | None = None
    fresh_input_tokens: Count | None = None
    cache_read_tokens: Count | None = None
    cache_write_tokens: Count | None = None
    output_tokens: Count | None = None
    reasoning_tokens: Count | None = None
    cache_write_1h_tokens: Count | None = None
    input_rule: Rule | None = None
    output_rule: Rule | None = None
    stop_reason: StopReason | None = None
    error_type: str | None = None
    error_data: Json | None = None
    origin: str | None = None
    tags: list[str] = Field(default_factory=list)
    tid: str | None = None
    trace_id: str | None = None
    request_id: str | None = None
    step_start_ns: Count | None = None
    step_ns: Count | None = None
    llm_request_start_ns: Count | None = None
    llm_request_ns: Count | None = None
    tool_execution_ns: Count | None = None


class MessagesRecorded(RunEvent):
    """Messages were exchanged; `messages` and `bodies` have the same length and order."""

    topic = "run.messages_recorded"
    contents = frozenset({"bodies"})
    messages: list[MessageFacts]
    approval_deadline: Timestamp | None = None
    late: Truth = False
    bodies: list[Message]


class RunMetadataPatched(RunEvent):
    """Top-level keys of the metadata were set (`patch`) or removed (`removed`)."""

    topic = "run.metadata_patched"
    patch: Json = Field(default_factory=dict)
    removed: list[str] = Field(default_factory=list)


class RunFeedbackRecorded(RunEvent):
    """A person gave feedback on the run; no `feedback` withdraws earlier feedback."""

    topic = "run.feedback_recorded"
    feedback: Feedback | None = None


class StepFeedbackRecorded(RunEvent):
    """A person gave feedback on a step that had ended; no `feedback` withdraws earlier feedback.

    `tags` replace the step's tags; None leaves them as they were.
    """

    topic = "run.step_feedback_recorded"
    step_id: Text
    feedback: Feedback | None = None
    tags: list[str] | None = None


class HeartbeatRecorded(RunEvent):
    """The worker of the run is alive."""

    topic = "run.heartbeat_recorded"


class RunCompleted(RunEvent):
    """The run completed; `run_ns` is its duration in nanoseconds, None if it was not measured."""

    topic = "run.completed"
    stop_reason: StopReason
    run_ns: Count | None = None


class RunFailed(RunEvent):
    """The run failed; `run_ns` is its duration in nanoseconds, None if it was not measured."""

    topic = "run.failed"
    stop_reason: StopReason
    run_ns: Count | None = None
    error_type: str | None = None
    error_message: str | None = None
    error_data: Json | None = None


class RunCancelled(RunEvent):
    """The run was cancelled; `run_ns` is None if an earlier end determined the duration."""

    topic = "run.cancelled"
    stop_reason: StopReason = "cancelled"
    reason: str | None = None
    run_ns: Count | None = None


class ToolCallsDenied(RunEvent):
    """Open tool calls were denied: by a cancellation, or because an approval came too late."""

    topic = "run.tool_calls_denied"
    tool_calls: list[CallFacts]
    reason: str


class RunDeleted(RunEvent):
    """The run was removed from every read model and getter; its id is never used again."""

    topic = "run.deleted"


class CallbackRequested(RunEvent):
    """A caller requested that the callback is sent again, starting with the first attempt."""

    topic = "run.callback_requested"
    webhook_id: Text


class CallbackAttempted(RunEvent):
    """The run's callback was sent, or could not be; `delivered` and `final` give the result."""

    topic = "run.callback_attempted"
    webhook_id: Text
    attempt: Count = Field(ge=1)
    url: str
    status_code: Count | None = None
    error: str | None = None
    delivered: Truth
    final: Truth
    redelivery: Truth = False
    attempt_ns: Count | None = None
    next_attempt_at: Timestamp | None = None


class AgentRegistered(Event):
    """An agent became known to its organization."""

    topic = "agent.registered"
    agent_id: Text
    project_id: str | None = None
    name: str | None = None
    agent_type: str | None = None


class ConversationOpened(Event):
    """A conversation was held for the first time; only runs of this agent may hold it."""

    topic = "conversation.opened"
    conversation_id: Text
    agent_id: Text


class ConversationClaimed(Event):
    """A run holds the conversation until it ends."""

    topic = "conversation.claimed"
    conversation_id: Text
    run_id: Text


class ConversationReleased(Event):
    """The run that held the conversation ended."""

    topic = "conversation.released"
    conversation_id: Text
    run_id: Text


class ViewSaved(Event):
    """A condition on runs, or a question in SQL, got a name in its organization."""

    topic = "view.saved"
    name: Text
    kind: ViewKind
    text: Text


class ViewRemoved(Event):
    """A saved view was removed."""

    topic = "view.removed"
    name: Text


class PricesAdopted(Event):
    """A table of prices was adopted for all organizations; `digest` is that of its rows."""

    topic = "prices.adopted"
    digest: Text
    source: Text
    dated: Text
    table: Json


class PricesListed(Event):
    """An organization listed prices of its own, which come before every table."""

    topic = "prices.listed"
    prices: list[ListedPrice]


class PricesApplied(Event):
    """Recorded steps are priced again, if their request began at `since` or later.

    By the prices listed up to the position `known_at`; None: by those before their own positions.
    """

    topic = "prices.applied"
    since: Timestamp | None = None
    known_at: Count | None = None


CATALOGUE: Final[dict[str, type[Event]]] = {
    event.topic: event
    for event in (
        RunCreated,
        RunStarted,
        StepStarted,
        StepRecorded,
        MessagesRecorded,
        RunMetadataPatched,
        RunFeedbackRecorded,
        StepFeedbackRecorded,
        HeartbeatRecorded,
        RunCompleted,
        RunFailed,
        RunCancelled,
        ToolCallsDenied,
        RunDeleted,
        CallbackRequested,
        CallbackAttempted,
        AgentRegistered,
        ConversationOpened,
        ConversationClaimed,
        ConversationReleased,
        ViewSaved,
        ViewRemoved,
        PricesAdopted,
        PricesListed,
        PricesApplied,
    )
}
"""Topic → model. The topic, never a module path, is what the log stores."""

PRICES_STREAM: Final = "prices"
"""The stream of every event about prices."""
