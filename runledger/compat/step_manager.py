"""StepManager: as much of the replaced server's as a run manager needs beside it."""

from typing import Any

from runledger.compat.argument_types import enforce_types
from runledger.compat.enums import StepStatus
from runledger.compat.errors import LettaInvalidArgumentError
from runledger.compat.manager import Manager
from runledger.compat.records import actor_of, step_of
from runledger.compat.schemas import Step, UsageStatistics


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
        """Record a step of a run with its usage; a pending one only begins.

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
                    status=status or (StepStatus.FAILED if error_type else StepStatus.SUCCESS),
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
        limit: int | None = 50,
        order: str | None = None,
        run_id: str | None = None,
    ) -> list[Step]:
        """Return a page of a run's steps, the oldest last unless `order` is asc."""
        if run_id is None:
            raise LettaInvalidArgumentError("run_id: expected a run's id, found None", "run_id")
        async with self._ledger() as ledger:
            views = await ledger.get_run_steps(
                run_id,
                order="asc" if order == "asc" else "desc",
                limit=limit,
                before=before or None,
                after=after or None,
                actor=actor_of(actor),
            )
        return [step_of(view) for view in views]


def _reason(given: Any) -> str | None:
    """Return a stop reason that came by itself, or inside an object that says so."""
    found = getattr(given, "stop_reason", given)
    return None if found is None else str(getattr(found, "value", found))
