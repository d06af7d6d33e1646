"""RunManager: the replaced server's run manager, method by method, on a ledger."""

import logging
from datetime import datetime
from typing import Any, Final, Literal, TypedDict, cast

from projections.queries.run_filter import SortKey
from runledger.api_messages import ApiMessage
from runledger.compat.argument_types import enforce_types
from runledger.compat.enums import ComparisonOperator, RunStatus, StopReasonType
from runledger.compat.manager import Manager
from runledger.compat.records import (
    actor_of,
    metrics_of,
    request_config_of,
    run_of,
    step_of,
    usage_of,
    utc,
)
from runledger.compat.schemas import (
    LettaRequestConfig,
    LettaUsageStatistics,
    Run,
    RunMetrics,
    RunUpdate,
    Step,
)
from runledger.events import StopReason
from runledger.ledger import RunLedger

MAX_LIMIT: Final = 1000
Cursors = Literal["parity", "documented"]
_log: Final = logging.getLogger(__name__)


class RunManager(Manager):
    """The methods, parameters and return shapes of the replaced manager; `actor` is as in
    schemas.User.

    `cursors="parity"` interprets `before` and `after` as the replaced manager does: for runs,
    `before` continues in the requested order; for messages, it means older. `"documented"`
    interprets them as RunLedger does everywhere: `after` continues in the requested order, `before`
    in the opposite. With `hold_conversations`, a run is the only active one of its conversation; a
    second one is refused with ConversationBusyError.
    """

    def __init__(
        self,
        ledger: RunLedger | None = None,
        *,
        cursors: Cursors = "parity",
        hold_conversations: bool = False,
    ) -> None:
        super().__init__(ledger)
        self._parity = cursors == "parity"
        self._hold_conversations = hold_conversations

    @enforce_types
    async def create_run(self, pydantic_run: Run, actor: Any) -> Run:
        """Create a run in any status; a stop_reason determines the status."""
        given = pydantic_run
        ends_at = utc(given.completed_at)
        # A default creation time is replaced by the ledger's, which is read when the command is
        # recorded.
        chosen = "created_at" in given.model_fields_set or ends_at is not None
        config = given.request_config
        async with self._ledger() as ledger:
            record = await ledger.create_run(
                given.agent_id,
                run_id=given.id,
                conversation_id=given.conversation_id,
                hold_conversation=self._hold_conversations and given.conversation_id is not None,
                base_template_id=given.base_template_id,
                background=given.background,
                metadata=given.metadata,
                request_config=None if config is None else config.model_dump(mode="json"),
                callback_url=given.callback_url,
                **_outcome(given.id, given.status, given.stop_reason),
                completed_at=ends_at,
                run_ns=given.total_duration_ns,
                exist_ok=False,
                actor=actor_of(actor),
                at=utc(given.created_at) if chosen else None,
            )
        return run_of(record)

    @enforce_types
    async def get_run_by_id(self, run_id: str, actor: Any) -> Run:
        """Return the run."""
        async with self._ledger() as ledger:
            return run_of(await ledger.get_run_by_id(run_id, actor=actor_of(actor)))

    @enforce_types
    async def get_run_with_status(self, run_id: str, actor: Any) -> Run:
        """Return the run, after asking the external engine that executes it, if one does."""
        async with self._ledger() as ledger:
            return run_of(await ledger.get_run_with_status(run_id, actor=actor_of(actor)))

    @enforce_types
    async def list_runs(
        self,
        actor: Any,
        run_id: str | None = None,
        agent_id: str | None = None,
        agent_ids: list[str] | None = None,
        statuses: list[RunStatus] | None = None,
        limit: int | None = 50,
        before: str | None = None,
        after: str | None = None,
        ascending: bool = False,
        stop_reason: str | None = None,
        background: bool | None = None,
        template_family: str | None = None,
        step_count: int | None = None,
        step_count_operator: ComparisonOperator = ComparisonOperator.EQ,
        tools_used: list[str] | None = None,
        project_id: str | None = None,
        conversation_id: str | None = None,
        order_by: str | None = "created_at",
        duration_percentile: float | None = None,
        duration_filter: Any = None,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
    ) -> list[Run]:
        """Return a page of runs, the newest first unless `ascending`; see RunLedger.list_runs.

        A `limit` of None is 100, more than 1000 is 1000, 0 is an empty page; an `agent_id` takes
        precedence over `agent_ids`. Unknown cursors and impossible values are errors.
        """
        if limit == 0:
            return []
        if self._parity:
            before, after = after, before
        async with self._ledger() as ledger:
            found = await ledger.list_runs(
                actor=actor_of(actor),
                run_id=run_id or None,
                agent_id=agent_id or None,
                agent_ids=None if agent_id else agent_ids or None,
                statuses=[status.value for status in statuses or ()],
                limit=_limit(limit),
                before=before or None,
                after=after or None,
                ascending=ascending,
                stop_reason=cast("StopReason | None", stop_reason or None),
                background=background,
                template_family=template_family or None,
                step_count=step_count,
                step_count_operator=step_count_operator.value if step_count is not None else "eq",
                tools_used=tools_used or None,
                project_id=project_id or None,
                conversation_id=conversation_id,
                order_by=cast("SortKey", order_by or "created_at"),
                duration_percentile=duration_percentile,
                duration_filter=_duration_filter(duration_filter),
                start_date=utc(start_date),
                end_date=utc(end_date),
            )
        return [run_of(record) for record in found]

    @enforce_types
    async def delete_run(self, run_id: str, actor: Any) -> None:
        """Remove the run from every list and getter; its id is never used again."""
        async with self._ledger() as ledger:
            await ledger.delete_run(run_id, actor=actor_of(actor))

    @enforce_types
    async def update_run_by_id_async(
        self,
        run_id: str,
        update: RunUpdate,
        actor: Any,
        refresh_result_messages: bool = True,  # noqa: ARG002
        conversation_id: str | None = None,  # noqa: ARG002
    ) -> Run:
        """Change a run; the first end wins, and a later one raises AlreadyEnded.

        The last two arguments change nothing: the callback's payload is made when it is sent, and a
        conversation is released in the append that ends its run.
        """
        async with self._ledger() as ledger:
            record = await ledger.update_run(
                run_id,
                **_outcome(run_id, update.status, update.stop_reason),
                completed_at=utc(update.completed_at),
                metadata=update.metadata,
                total_duration_ns=update.total_duration_ns,
                actor=actor_of(actor),
            )
        return run_of(record)

    @enforce_types
    async def get_run_usage(self, run_id: str, actor: Any) -> LettaUsageStatistics:
        """Return the tokens of all steps of the run."""
        async with self._ledger() as ledger:
            return usage_of(await ledger.get_run_usage(run_id, actor=actor_of(actor)))

    @enforce_types
    async def get_run_messages(
        self,
        run_id: str,
        actor: Any,
        limit: int | None = 100,
        before: str | None = None,
        after: str | None = None,
        order: Literal["asc", "desc"] = "asc",
    ) -> list[ApiMessage]:
        """Return a page of the run's messages as the API shows them."""
        if limit == 0:
            return []
        if self._parity and order == "desc":
            before, after = after, before
        async with self._ledger() as ledger:
            return await ledger.get_run_messages(
                run_id,
                order=order,
                limit=_limit(limit),
                before=before or None,
                after=after or None,
                actor=actor_of(actor),
            )

    @enforce_types
    async def get_run_request_config(self, run_id: str, actor: Any) -> LettaRequestConfig | None:
        """Return the configuration of the request that the run answers."""
        async with self._ledger() as ledger:
            stored = await ledger.get_run_request_config(run_id, actor=actor_of(actor))
            return request_config_of(stored)

    @enforce_types
    async def get_run_metrics_async(self, run_id: str, actor: Any) -> RunMetrics:
        """Return the metrics of the run."""
        async with self._ledger() as ledger:
            return metrics_of(await ledger.get_run_metrics(run_id, actor=actor_of(actor)))

    @enforce_types
    async def get_run_steps(
        self,
        run_id: str,
        actor: Any,
        limit: int | None = 100,
        before: str | None = None,
        after: str | None = None,
        ascending: bool = False,
    ) -> list[Step]:
        """Return a page of the run's steps; cursors are documented ones in every mode."""
        if limit == 0:
            return []
        async with self._ledger() as ledger:
            views = await ledger.get_run_steps(
                run_id,
                order="asc" if ascending else "desc",
                limit=limit,
                before=before or None,
                after=after or None,
                actor=actor_of(actor),
            )
        return [step_of(view) for view in views]

    @enforce_types
    async def cancel_run(
        self, actor: Any, agent_id: str | None = None, run_id: str | None = None
    ) -> Run | None:
        """Cancel a run, or every open run of an agent; return the (newest) run that was cancelled.

        None means that there was no run to cancel. `agent_id` is ignored if there is a `run_id`.
        """
        if not run_id and not agent_id:
            raise ValueError("Agent ID is required to cancel a run by ID")
        async with self._ledger() as ledger:
            whose = actor_of(actor)
            if run_id:
                done = [await ledger.cancel_run(run_id, actor=whose)]
            else:
                done = await ledger.cancel_runs(agent_id=agent_id, actor=whose)
        cancelled = [one.run for one in done if one.outcome == "cancelled"]
        return run_of(cancelled[0]) if cancelled else None


def _limit(limit: int | None) -> int:
    return 100 if limit is None else min(limit, MAX_LIMIT)


class _Outcome(TypedDict):
    status: str | None
    stop_reason: str | None


def _outcome(run_id: str, status: RunStatus | None, stop_reason: StopReasonType | None) -> _Outcome:
    """Return the update: a stop reason alone if there is one, since it determines the status.

    Three of the replaced server's four writers send `completed` with stop reasons that mean failed.
    Refusing them would leave their runs open forever.
    """
    if stop_reason is None:
        return {"status": None if status is None else status.value, "stop_reason": None}
    if status not in (None, RunStatus.created, stop_reason.run_status):
        _log.warning(
            "run %s: status %s contradicts the stop reason %s, which means %s",
            run_id,
            status,
            stop_reason,
            stop_reason.run_status,
        )
    return {"status": None, "stop_reason": stop_reason.value}


def _duration_filter(given: Any) -> dict[str, Any] | None:
    """Return a filter that was given as a dictionary or as an object."""
    if given is None or isinstance(given, dict):
        return given
    operator = getattr(given.operator, "value", given.operator)
    return {"value": given.value, "operator": operator}
