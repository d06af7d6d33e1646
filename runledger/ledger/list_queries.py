"""Queries over many runs, answered by the read models, which catch up first."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import date
from typing import Any, TypeVar, Unpack

from projections.fold.engine import Progress
from projections.generations.as_of import AsOfMoment
from projections.queries.queries import RowIterator, Take
from projections.queries.run_filter import (
    RunConditions,
    RunFilters,
    SortKey,
    run_filter,
    unpaged_filter,
)
from projections.queries.step_filter import StepFilters, step_filter
from runledger.arguments import check_days, check_lists, check_texts
from runledger.errors import InvalidArgument, ReadModelsError, UndecodableEvent
from runledger.events import RunEvent
from runledger.ids import check_id, is_id
from runledger.ledger.part import LedgerPart
from runledger.records import (
    AgentRow,
    DurationPercentiles,
    Records,
    RunDurations,
    RunRecord,
    StepView,
    UsageTotal,
)
from runledger.run import Actor
from runledger.run_query import RunQuery
from runledger.span import check_span

_T = TypeVar("_T")


class ListQueries(LedgerPart):
    """Lists, totals and SQL; ReadModelsMissing is raised if the ledger was opened without them.

    With `as_of`, a position of the log or a time, they return the answers of that time, by the
    current SQL.
    """

    async def list_runs(
        self,
        *,
        as_of: AsOfMoment | None = None,
        actor: Actor | None = None,
        **filters: Unpack[RunFilters],
    ) -> list[RunRecord]:
        """Return a page of runs, the newest first by default.

        `filters` are the fields of `RunFilter` (projections.queries); wrong ones are refused.

        Parameters:
            as_of: answers as of a position of the log or a time with a zone; the present by
                default.
            actor: acts instead of the ledger's own actor; queries are about its organization.
            filters: the filters, the order and the page, as keywords; see the fields of RunFilters.
        """
        asked = run_filter("list_runs", **filters)
        organization = self.opened.organization(actor)
        born = await self._born(asked.run_id, asked.cursor)
        found = await self.opened.ask(lambda q: q.list_runs(organization, asked, born), as_of)
        return Records(found)

    def runs(
        self,
        *,
        order_by: SortKey = "created_at",
        ascending: bool = False,
        costs: bool = False,
        as_of: AsOfMoment | None = None,
        actor: Actor | None = None,
        **filters: Unpack[RunConditions],
    ) -> RunQuery:
        """Return a query about runs that is asked later: a page, each run, or all as a table.

        Parameters:
            order_by: the column of the order, "created_at" by default, as in list_runs.
            ascending: True for the smallest first.
            costs: True returns the runs with what they cost.
            as_of: answers as of a position of the log or a time with a zone; the present by
                default.
            actor: acts instead of the ledger's own actor; queries are about its organization.
            filters: the filters of list_runs, such as `where`.
        """
        run_filter("runs", order_by=order_by, ascending=ascending, costs=costs, **filters)
        order = {"order_by": order_by, "ascending": ascending, "costs": costs}
        return RunQuery(self.list_runs, {**filters, **order, "as_of": as_of, "actor": actor})

    async def run_durations(
        self,
        *,
        as_of: AsOfMoment | None = None,
        actor: Actor | None = None,
        **filters: Unpack[RunConditions],
    ) -> RunDurations:
        """Return count, p50, p90, p95 and p99 (ns) of exactly the runs that pass the filters.

        `filters` are those of `list_runs`; parameters of order and page are refused.

        Parameters:
            as_of: answers as of a position of the log or a time with a zone; the present by
                default.
            actor: acts instead of the ledger's own actor; queries are about its organization.
            filters: the filters of list_runs; parameters of order and page are refused.
        """
        asked = unpaged_filter("run_durations", **filters)
        organization = self.opened.organization(actor)
        return await self.opened.ask(lambda q: q.durations(organization, asked), as_of)

    async def list_steps(
        self,
        *,
        as_of: AsOfMoment | None = None,
        actor: Actor | None = None,
        **filters: Unpack[StepFilters],
    ) -> list[StepView]:
        """Return a page of steps of any runs, the last recorded first by default.

        `filters` are the fields of `StepFilter` (projections.queries); wrong ones are refused.

        Parameters:
            as_of: answers as of a position of the log or a time with a zone; the present by
                default.
            actor: acts instead of the ledger's own actor; queries are about its organization.
            filters: the filters, the order and the page, as keywords; see StepFilters.
        """
        asked = step_filter("list_steps", **filters)
        organization = self.opened.organization(actor)
        found = await self.opened.ask(lambda q: q.list_steps(organization, asked), as_of)
        return Records(found)

    async def get_step(
        self, step_id: str, *, as_of: AsOfMoment | None = None, actor: Actor | None = None
    ) -> StepView:
        """Return a step of any run by its id; NotFound if no run of the organization has it.

        Parameters:
            step_id: the id of the step.
            as_of: answers as of a position of the log or a time with a zone; the present by
                default.
            actor: acts instead of the ledger's own actor; queries are about its organization.
        """
        check_id("step", step_id)
        organization = self.opened.organization(actor)
        return await self.opened.ask(lambda q: q.step(organization, step_id), as_of)

    async def usage_totals(
        self,
        *,
        by: Sequence[str] = ("model",),
        project_id: str | None = None,
        agent_id: str | None = None,
        model: str | None = None,
        since: date | None = None,
        until: date | None = None,
        where: str | None = None,
        as_of: AsOfMoment | None = None,
        actor: Actor | None = None,
    ) -> list[UsageTotal]:
        """Return token totals grouped by any of project, agent, model and day (UTC).

        Parameters:
            by: any of "project", "agent", "model" and "day"; by model by default.
            project_id: the project; any by default.
            agent_id: the id of the agent; any by default.
            model: the model; any by default.
            since: the first day or time that is included; no bound by default.
            until: the first day or time that is excluded; no bound by default.
            where: a condition on runs in the filter language; only these runs count.
            as_of: answers as of a position of the log or a time with a zone; the present by
                default.
            actor: acts instead of the ledger's own actor; queries are about its organization.
        """
        organization = self.opened.organization(actor)
        check_lists(by=by)
        check_texts(project_id=project_id, agent_id=agent_id, model=model)
        check_days(since=since, until=until)
        check_span("usage_totals", since=since, until=until)
        run_filter("usage_totals", where=where)
        found = await self.opened.ask(
            lambda q: q.usage_totals(
                organization,
                by,
                project_id=project_id,
                agent_id=agent_id,
                model=model,
                since=since,
                until=until,
                where=where,
            ),
            as_of,
        )
        return Records(found)

    async def duration_percentiles(
        self,
        *,
        by: Sequence[str] = (),
        project_id: str | None = None,
        agent_id: str | None = None,
        since: date | None = None,
        until: date | None = None,
        where: str | None = None,
        as_of: AsOfMoment | None = None,
        actor: Actor | None = None,
    ) -> list[DurationPercentiles]:
        """Return exact duration percentiles (ns) grouped by any of project, agent and day (UTC).

        Parameters:
            by: any of "project", "agent" and "day"; one row for all by default.
            project_id: the project; any by default.
            agent_id: the id of the agent; any by default.
            since: the first day or time that is included; no bound by default.
            until: the first day or time that is excluded; no bound by default.
            where: a condition on runs in the filter language; only these runs count.
            as_of: answers as of a position of the log or a time with a zone; the present by
                default.
            actor: acts instead of the ledger's own actor; queries are about its organization.
        """
        organization = self.opened.organization(actor)
        check_lists(by=by)
        check_texts(project_id=project_id, agent_id=agent_id)
        check_days(since=since, until=until)
        check_span("duration_percentiles", since=since, until=until)
        run_filter("duration_percentiles", where=where)
        found = await self.opened.ask(
            lambda q: q.percentiles(
                organization,
                by,
                project_id=project_id,
                agent_id=agent_id,
                since=since,
                until=until,
                where=where,
            ),
            as_of,
        )
        return Records(found)

    async def list_agents(
        self,
        *,
        agent_id: str | None = None,
        as_of: AsOfMoment | None = None,
        actor: Actor | None = None,
    ) -> list[AgentRow]:
        """Return the agents, with their last run and last stop reason.

        Parameters:
            agent_id: the id of the agent; any by default.
            as_of: answers as of a position of the log or a time with a zone; the present by
                default.
            actor: acts instead of the ledger's own actor; queries are about its organization.
        """
        organization = self.opened.organization(actor)
        check_texts(agent_id=agent_id)
        found = await self.opened.ask(lambda q: q.agents(organization, agent_id), as_of)
        return Records(found)

    async def sql(
        self, statement: str, *, as_of: AsOfMoment | None = None
    ) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Return (column names, rows) of one SELECT over the read models of all organizations.

        Parameters:
            statement: one SELECT over the read models of all organizations.
            as_of: answers as of a position of the log or a time with a zone; the present by
                default.
        """
        _expect_text(statement)
        return await self.opened.ask(lambda q: q.sql(statement), as_of)

    async def sql_rows(
        self, statement: str, take: Take[_T], *, as_of: AsOfMoment | None = None
    ) -> _T:
        """Call `take(column names, iterator of rows)` in a thread; return what it returns.

        Rows are fetched while `take` consumes them, so an answer may be larger than memory. A
        switch of generations waits while a row is processed; if it happens between two rows,
        ReadModelsError is raised.

        Parameters:
            as_of: answers as of a position of the log or a time with a zone; the present by
                default.
            statement: one SELECT over the read models of all organizations.
            take: called in a thread with the names of the columns and an iterator of rows.
        """
        _expect_text(statement)
        begun = False

        def taken(columns: list[str], rows: RowIterator) -> _T:
            nonlocal begun
            if begun:
                # Rows of another generation would follow those of the old one.
                raise ReadModelsError(
                    "sql: expected one generation to give all rows, found another one live after "
                    "the first of them; ask again"
                )
            begun = True
            return take(columns, rows)

        return await self.opened.ask(lambda q: q.sql_rows(statement, taken), as_of)

    async def project(self, progress: Progress | None = None) -> int:
        """Bring the read models up to date; return their position.

        Parameters:
            progress: called with the number of events since the last call and the position; None
                for no calls.

        Raises:
            ReadModelsError: if the read models are a published copy.
        """
        return await asyncio.to_thread(self.opened.read_models.catch_up, progress)

    async def _born(self, *named: str | None) -> dict[str | None, int]:
        """Return `born` of the runs that exist: the log finds a run by its id."""
        found: dict[str | None, int] = {}
        read_stream = self.opened.store.read_stream
        for run_id in named:
            if run_id is None or not is_id("run", run_id):
                continue
            # A run whose first event cannot be read is in no read model.
            with suppress(UndecodableEvent):
                for first in await asyncio.to_thread(read_stream, run_id, 0, 1, False):
                    if isinstance(first.event, RunEvent):
                        found[run_id] = first.event.born
        return found


def _expect_text(statement: str) -> None:
    if not isinstance(statement, str):
        raise InvalidArgument(f"sql: expected one SELECT as text, found {statement!r:.80}")
