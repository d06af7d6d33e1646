"""The records that queries return: runs, steps, usage, metrics; named as in the replaced system."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Literal, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict

from runledger.events import CallbackAttempted, StepRecorded, StepStarted, ViewKind
from runledger.html_table import Span, html_facts, html_table
from runledger.run import Run
from runledger.run.delivery import Delivery


class Record(BaseModel):
    """A record, which a notebook shows as a table of its facts."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    @property
    def span(self) -> Span | None:
        """Its beginning and its end in nanoseconds since 1970; None if there is none."""
        return None

    def _repr_html_(self) -> str:
        return html_facts(self)


_R = TypeVar("_R", bound=Record)


class Records(list[_R]):
    """A list of records, which a notebook shows as a table with a time line."""

    def _repr_html_(self) -> str:
        return html_table(self, [record.span for record in self])


class RunRecord(Record):
    """One run. Durations are in nanoseconds, times have a zone, counts have no upper limit.

    `version` counts the events of its stream, including those of callbacks. The costs are as in
    UsageTotal, and None unless a list is asked for with `costs=True`.
    """

    run_id: str
    organization: str
    agent_id: str
    project_id: str | None = None
    conversation_id: str | None = None
    base_template_id: str | None = None
    background: bool | None = None
    status: str
    stop_reason: str | None = None
    created_at: datetime
    started_at: datetime | None = None
    completed_at: datetime | None = None
    last_event_at: datetime
    run_ns: int | None = None
    num_steps: int = 0
    tools_used: list[str] = []
    tool_ids: list[str] = []
    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    fresh_input_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    metadata: dict[str, Any] = {}
    request_config: dict[str, Any] | None = None
    error_type: str | None = None
    error_message: str | None = None
    error_data: dict[str, Any] | None = None
    callback_url: str | None = None
    callback_sent_at: datetime | None = None
    callback_status_code: int | None = None
    callback_error: str | None = None
    approval_deadline: datetime | None = None
    feedback: str | None = None
    cost_usd: Decimal | None = None
    unpriced_tokens: int | None = None
    incomplete_steps: int | None = None
    version: int = 0

    @property
    def ended_before_it_began(self) -> bool:
        """Whether two clocks disagree so much that the duration, `run_ns`, is unknown."""
        return self.completed_at is not None and self.completed_at < self.created_at

    @property
    def run_start_ns(self) -> int:
        """When the run was created, in nanoseconds since 1970."""
        return nanoseconds(self.created_at)

    @property
    def span(self) -> Span | None:
        """Its beginning and its end, if it has ended after it began."""
        if self.completed_at is None or self.ended_before_it_began:
            return None
        return self.run_start_ns, nanoseconds(self.completed_at)


class RunUsage(Record):
    """Token totals of a run; None if no step reported the count, 0 if 0 was reported."""

    run_id: str
    step_count: int
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    cached_input_tokens: int | None
    cache_write_tokens: int | None
    cache_write_1h_tokens: int | None
    reasoning_tokens: int | None
    fresh_input_tokens: int | None
    output_tokens: int | None


class RunMetrics(Record):
    """Duration (ns), steps and tools of a run."""

    run_id: str
    organization: str
    agent_id: str
    project_id: str | None
    run_start_ns: int
    run_ns: int | None
    num_steps: int
    tools_used: list[str]
    tool_ids: list[str]
    base_template_id: str | None


class StepView(Record):
    """One step of a run; `status` is pending while only its start is recorded."""

    step_id: str
    run_id: str
    agent_id: str
    organization: str
    project_id: str | None = None
    status: str
    late: bool = False
    created_at: datetime
    provider_name: str | None = None
    provider_category: str | None = None
    provider_id: str | None = None
    model: str | None = None
    model_handle: str | None = None
    model_endpoint: str | None = None
    context_window_limit: int | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: dict[str, Any] | None = None
    completion_tokens_details: dict[str, Any] | None = None
    usage_details: dict[str, Any] | None = None
    input_includes_cache: bool | None = None
    output_includes_reasoning: bool | None = None
    total_derived: bool | None = None
    fresh_input_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    input_rule: str | None = None
    output_rule: str | None = None
    stop_reason: str | None = None
    error_type: str | None = None
    error_data: dict[str, Any] | None = None
    origin: str | None = None
    tags: list[str] = []
    tid: str | None = None
    trace_id: str | None = None
    request_id: str | None = None
    step_start_ns: int | None = None
    step_ns: int | None = None
    llm_request_start_ns: int | None = None
    llm_request_ns: int | None = None
    tool_execution_ns: int | None = None
    feedback: str | None = None

    @property
    def span(self) -> Span | None:
        """Its beginning and its end, if both were reported."""
        if self.step_start_ns is None or self.step_ns is None:
            return None
        return self.step_start_ns, self.step_start_ns + self.step_ns


class UsageTotal(Record):
    """The tokens of a group of steps; a grouping column is None if it was not asked for.

    A bucket is None if no step of the group reported it. `cost_usd` is exact; it is None if no step
    has a known price, and a lower bound if `incomplete_steps` is not 0: then `unpriced_tokens` have
    no known price, or a count was not reported. `reported_usd` is the sum of what providers
    reported. All four are None in read models that do not have costs yet.
    """

    project_id: str | None
    agent_id: str | None
    model: str | None
    day: date | None
    steps: int
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    fresh_input_tokens: int | None
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    output_tokens: int | None
    reasoning_tokens: int | None
    cache_write_1h_tokens: int | None
    cost_usd: Decimal | None = None
    unpriced_tokens: int | None = None
    incomplete_steps: int | None = None
    reported_usd: Decimal | None = None


class RunDurations(Record):
    """The number of runs that have a duration, and its percentiles in nanoseconds."""

    runs: int
    p50: float | None
    p90: float | None
    p95: float | None
    p99: float | None


class DurationPercentiles(Record):
    """The durations of a group of ended runs, in nanoseconds; see UsageTotal for the groups."""

    project_id: str | None
    agent_id: str | None
    day: date | None
    runs: int
    p50: float
    p90: float
    p95: float
    p99: float


class AgentRow(Record):
    """One agent, with its newest run and the stop reason of the run that ended last."""

    agent_id: str
    project_id: str | None
    name: str | None
    agent_type: str | None
    registered_at: datetime | None
    last_run_id: str | None
    last_run_at: datetime | None
    last_stop_reason: str | None


class CallbackRow(Record):
    """The delivery for a run that ended; `error` says for a parked run why nothing is sent."""

    run_id: str
    agent_id: str
    project_id: str | None
    callback_url: str
    status: str
    run_status: str | None
    ended_at: datetime | None
    webhook_id: str | None
    redelivery: bool
    attempts: int
    attempted_at: datetime | None
    status_code: int | None
    error: str | None
    next_attempt_at: datetime | None


class SavedView(Record):
    """A condition on runs, or for the kind "sql" a question in SQL, under a name."""

    name: str
    kind: ViewKind
    text: str
    saved_at: datetime
    saved_by: str | None = None


class Cancellation(NamedTuple):
    """The result of a cancellation: `cancelled` by this call, or `already_ended` before it."""

    outcome: Literal["cancelled", "already_ended"]
    run: RunRecord


class Callback(NamedTuple):
    """The delivery for a run (None if there is none), and every attempt that was made."""

    run_id: str
    url: str | None
    owed: Delivery | None
    attempts: list[CallbackAttempted]


_OF_RUN: Final = tuple(name for name in RunRecord.model_fields if name in Run.__slots__)
_OF_STEP: Final = tuple(StepRecorded.model_fields.keys() & StepView.model_fields.keys())


def nanoseconds(moment: datetime) -> int:
    """Return a time as nanoseconds since 1970."""
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000


def run_record(run: Run) -> RunRecord:
    """Return the run's state as a record."""
    values: dict[str, Any] = {name: getattr(run, name) for name in _OF_RUN}
    values.update(
        status=run.status.value,
        tools_used=sorted(run.tools_used),
        tool_ids=sorted(run.tool_ids),
        metadata=dict(run.metadata),
    )
    return RunRecord(**values)


def run_usage(run: Run) -> RunUsage:
    """Return the run's token totals."""
    return RunUsage(
        run_id=run.run_id,
        step_count=run.num_steps,
        prompt_tokens=run.prompt_tokens,
        completion_tokens=run.completion_tokens,
        total_tokens=run.total_tokens,
        cached_input_tokens=run.cache_read_tokens,
        cache_write_tokens=run.cache_write_tokens,
        cache_write_1h_tokens=run.cache_write_1h_tokens,
        reasoning_tokens=run.reasoning_tokens,
        fresh_input_tokens=run.fresh_input_tokens,
        output_tokens=run.output_tokens,
    )


def run_metrics(run: Run) -> RunMetrics:
    """Return the run's duration, steps and tools."""
    return RunMetrics(
        run_id=run.run_id,
        organization=run.organization,
        agent_id=run.agent_id,
        project_id=run.project_id,
        run_start_ns=nanoseconds(run.created_at),
        run_ns=run.run_ns,
        num_steps=run.num_steps,
        tools_used=sorted(run.tools_used),
        tool_ids=sorted(run.tool_ids),
        base_template_id=run.base_template_id,
    )


def step_view(run: Run, event: StepRecorded | StepStarted) -> StepView:
    """Return a step as a record of its event."""
    if isinstance(event, StepStarted):
        fields: dict[str, Any] = {"provider_name": event.provider_name, "model": event.model}
        status = "pending"
    else:
        fields = {name: getattr(event, name) for name in _OF_STEP}
        status = fields.pop("status")
    fields.update(
        step_id=event.step_id,
        run_id=run.run_id,
        agent_id=run.agent_id,
        organization=run.organization,
        project_id=run.project_id,
        created_at=event.occurred_at,
    )
    judged = run.step_feedback.get(event.step_id)
    if judged is not None:
        fields["feedback"] = judged.feedback
        if judged.tags is not None:
            fields["tags"] = judged.tags
    return StepView(**fields, status=status)
