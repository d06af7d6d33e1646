"""Converts the ledger's records to the replaced server's resources."""

from datetime import UTC, datetime
from typing import Any

from runledger import records
from runledger.compat.enums import RunStatus, StepStatus, StopReasonType
from runledger.compat.schemas import (
    AgentState,
    LettaRequestConfig,
    LettaUsageStatistics,
    Run,
    RunMetrics,
    Step,
    StepMetrics,
)
from runledger.ids import DEFAULT_ORGANIZATION
from runledger.run import Actor
from runledger.utc import as_utc


def actor_of(actor: Any) -> Actor:
    """Return the ledger's actor for any object with `organization_id` and `id`."""
    try:
        organization, user = actor.organization_id, actor.id
    except AttributeError:
        raise ValueError(f"Argument actor does not match type User; is {actor!r:.200}") from None
    return Actor(organization or DEFAULT_ORGANIZATION, user)


def utc(moment: datetime | None) -> datetime | None:
    """Return the time with a zone; the replaced server means UTC if there is none."""
    if moment is None:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else as_utc(moment)


def run_of(record: records.RunRecord) -> Run:
    """Convert a run. If it was recorded after its end, its time of completion is unknown.

    If clocks of two machines disagree so that its end is before its beginning, the end is known.
    """
    ended = record.completed_at is not None
    unseen = ended and record.run_ns is None and not record.ended_before_it_began
    shared = Run.model_fields.keys() & records.RunRecord.model_fields.keys()
    fields = {name: getattr(record, name) for name in shared}
    fields.update(
        id=record.run_id,
        status=RunStatus(record.status),
        stop_reason=None if record.stop_reason is None else StopReasonType(record.stop_reason),
        completed_at=None if unseen else record.completed_at,
        background=bool(record.background),
        request_config=request_config_of(record.request_config),
        total_duration_ns=record.run_ns,
    )
    return Run(**fields)


def agent_of(row: records.AgentRow) -> AgentState:
    """Convert a row of the read model to an agent."""
    shared = AgentState.model_fields.keys() & records.AgentRow.model_fields.keys()
    return AgentState(**{name: getattr(row, name) for name in shared}, id=row.agent_id)


def request_config_of(stored: dict[str, Any] | None) -> LettaRequestConfig | None:
    """Return the request's configuration."""
    return None if stored is None else LettaRequestConfig.model_validate(stored)


def metrics_of(found: records.RunMetrics) -> RunMetrics:
    """Return a run's metrics; `tools_used` are ids if calls had any, names otherwise."""
    return RunMetrics(
        id=found.run_id,
        organization_id=found.organization,
        agent_id=found.agent_id,
        project_id=found.project_id,
        run_start_ns=found.run_start_ns,
        run_ns=found.run_ns,
        num_steps=found.num_steps,
        tools_used=found.tool_ids or found.tools_used or None,
        base_template_id=found.base_template_id,
    )


def usage_of(found: records.RunUsage) -> LettaUsageStatistics:
    """Return a run's tokens."""
    shared = LettaUsageStatistics.model_fields.keys() & records.RunUsage.model_fields.keys()
    return LettaUsageStatistics(**{name: getattr(found, name) for name in shared})


def step_of(view: records.StepView) -> Step:
    """Return a step."""
    shared = Step.model_fields.keys() & records.StepView.model_fields.keys()
    fields = {name: getattr(view, name) for name in shared}
    fields.update(
        id=view.step_id,
        organization_id=view.organization,
        status=StepStatus(view.status),
        cached_input_tokens=view.cache_read_tokens,
    )
    return Step(**fields)


def step_metrics_of(view: records.StepView) -> StepMetrics:
    """Return a step's times."""
    shared = StepMetrics.model_fields.keys() & records.StepView.model_fields.keys()
    fields = {name: getattr(view, name) for name in shared}
    return StepMetrics(**fields, id=view.step_id, organization_id=view.organization)
