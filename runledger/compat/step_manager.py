"""StepManager: the part of the replaced server's step manager that a run manager needs."""

from datetime import datetime
from typing import Any, Final, Literal, cast

from runledger.compat.argument_types import enforce_types
from runledger.compat.enums import FeedbackType, StepStatus
from runledger.compat.errors import LettaInvalidArgumentError
from runledger.compat.manager import Manager
from runledger.compat.records import actor_of, step_metrics_of, step_of, utc
from runledger.compat.schemas import Step, StepMetrics, UsageStatistics
from runledger.events import StepStatus as RecordedStatus
from runledger.events import StopReason

MAX_LIMIT: Final = 1000


class StepManager(Manager):
    """Records and lists the steps of runs."""

    @enforce_types
    async def log_step_async(
        self,
        actor: Any,
        agent_id: str,  # noqa: ARG002
        provider_name: str | None,
        provider_category: str | None,
        model: str | None,
        model_endpoint: str | None,
        context_window_limit: int | None,
        usage: UsageStatistics,
        provider_id: str | None = None,
        run_id: str | None = None,
        step_id: str | None = None,
        project_id: str | None = None,  # noqa: ARG002
        stop_reason: Any = None,
        status: StepStatus | None = None,
        error_type: str | None = None,
        error_data: dict[str, Any] | None = None,
        model_handle: str | None = None,
        allow_partial: bool | None = False,  # noqa: ARG002
    ) -> Step:
        """Record a step of a run with its usage; for a pending step, only its beginning.

        The agent and the project are the run's.
        """
        if run_id is None:
            raise LettaInvalidArgumentError("run_id: expected a run's id, found None", "run_id")
        whose = actor_of(actor)
        async with self._ledger() as ledger:
            if status is StepStatus.PENDING:
                step_id = await ledger.start_step(
                    run_id, step_id=step_id, provider=provider_name, model=model, actor=whose
                )
            else:
                step_id = await ledger.record_step(
                    run_id,
                    step_id=step_id,
                    provider=provider_name,
                    provider_category=provider_category,
                    provider_id=provider_id,
                    model=model,
                    model_handle=model_handle,
                    model_endpoint=model_endpoint,
                    context_window_limit=context_window_limit,
                    **usage.model_dump(exclude_none=True),
                    stop_reason=_reason(stop_reason),
                    status=_status(status, error_type),
                    error_type=error_type,
                    error_data=error_data,
                    actor=whose,
                )
            steps = await ledger.get_run_steps(run_id, actor=whose)
        return next(step_of(view) for view in steps if view.step_id == step_id)

    @enforce_types
    async def list_steps_async(
        self,
        actor: Any,
        before: str | None = None,
        after: str | None = None,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
        limit: int | None = 50,
        order: str | None = None,
        model: str | None = None,
        agent_id: str | None = None,
        trace_ids: list[str] | None = None,
        feedback: Literal["positive", "negative"] | None = None,
        has_feedback: bool | None = None,
        project_id: str | None = None,
        run_id: str | None = None,
    ) -> list[Step]:
        """Return a page of the steps of any runs, the oldest last unless `order` is asc.

        Empty filters keep every step. A `limit` of None is 1000, and so is a larger one; 0 is an
        empty page. `start_date` is included, `end_date` is not.
        """
        if limit == 0:
            return []
        async with self._ledger() as ledger:
            whose = actor_of(actor)
            if run_id:
                # An unknown run is an error; a filter that matches no step returns an empty page.
                await ledger.get_run_by_id(run_id, actor=whose)
            views = await ledger.list_steps(
                run_id=run_id or None,
                agent_id=agent_id or None,
                model=model or None,
                project_id=project_id or None,
                trace_ids=trace_ids or None,
                feedback=feedback,
                has_feedback=has_feedback,
                start_date=utc(start_date),
                end_date=utc(end_date),
                order="asc" if order == "asc" else "desc",
                limit=MAX_LIMIT if limit is None else min(limit, MAX_LIMIT),
                before=before or None,
                after=after or None,
                actor=whose,
            )
        return [step_of(view) for view in views]

    @enforce_types
    async def get_step_async(self, step_id: str, actor: Any) -> Step:
        """Return the step."""
        async with self._ledger() as ledger:
            return step_of(await ledger.get_step(step_id, actor=actor_of(actor)))

    @enforce_types
    async def add_feedback_async(
        self,
        step_id: str,
        feedback: FeedbackType | None,
        actor: Any,
        tags: list[str] | None = None,
    ) -> Step:
        """Record a person's feedback on the step; None withdraws earlier feedback.

        `tags` replace the step's tags if there are any.
        """
        async with self._ledger() as ledger:
            judged = await ledger.record_step_feedback(
                step_id,
                None if feedback is None else feedback.value,
                tags=tags or None,
                actor=actor_of(actor),
            )
        return step_of(judged)

    @enforce_types
    async def get_step_metrics_async(self, actor: Any, step_id: str) -> StepMetrics:
        """Return the times of the step."""
        async with self._ledger() as ledger:
            return step_metrics_of(await ledger.get_step(step_id, actor=actor_of(actor)))


def _status(given: StepStatus | None, error_type: str | None) -> RecordedStatus:
    status = given or (StepStatus.FAILED if error_type else StepStatus.SUCCESS)
    return cast("RecordedStatus", status.value)


def _reason(given: Any) -> StopReason | None:
    """Return a stop reason that was given alone or in an object; the ledger checks it."""
    reason = getattr(given, "stop_reason", given)
    return None if reason is None else cast("StopReason", str(getattr(reason, "value", reason)))
