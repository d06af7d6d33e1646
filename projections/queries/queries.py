"""Queries on the read models of a generation; each thread has its own cursor."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import date, datetime
from typing import Any, Final, TypeVar

import duckdb

from projections.fold.file_errors import UNREADABLE
from projections.fold.parking import Parked, parked
from projections.queries.callbacks import SQL as CALLBACKS
from projections.queries.run_filter import COST, Born, RunFilter, run_filter, where
from projections.queries.run_filter import SQL as RUNS
from projections.queries.step_filter import StepFilter
from projections.queries.step_list import get_step, list_steps
from projections.queries.time_limit import limited
from projections.queries.where.expression import Expression
from projections.read_models.catalog import queries
from runledger.errors import InvalidArgument, NotFound, ReadModelsError
from runledger.records import (
    AgentRow,
    CallbackRow,
    DurationPercentiles,
    RunDurations,
    RunRecord,
    StepView,
    UsageTotal,
)
from runledger.sql_file import fill

USAGE: Final = queries("usage_totals")
COSTS: Final = queries("costs")
PERCENTILES: Final = queries("duration_percentiles")
AGENTS: Final = queries("agents")
USAGE_GROUPS: Final = ("project", "agent", "model", "day")
_GROUPED: Final = ("project_id", "agent_id", "model", "day")
PERCENTILES_GROUPS: Final = ("project", "agent", "day")
FETCH_ROWS: Final = 1_000
"""Rows of an analyst's answer that are in memory at once."""

RowIterator = Iterator[tuple[Any, ...]]
_T = TypeVar("_T")
Take = Callable[[list[str], RowIterator], _T]
"""Consumes the names of the columns and the rows."""

_JSON: Final = ("metadata", "request_config", "error_data")
_ORDERS: Final = {
    (True, True): ("oldest_first", "newer"),
    (True, False): ("newest_first", "older"),
    (False, True): ("least_first", "above"),
    (False, False): ("most_first", "below"),
}


class Queries:
    """Answers from one connection; for one thread at a time.

    `unwanted` is asked between the rows of a long answer whether it must make way.
    """

    def __init__(self, db: Any, unwanted: Callable[[], bool] = lambda: False) -> None:
        self._db = db
        self._unwanted = unwanted
        self._costs_there: bool | None = None

    def rows(
        self, statement: str, parameters: dict[str, Any] | None = None
    ) -> list[dict[str, Any]]:
        """Return the rows of a statement as dictionaries."""
        result = self._db.execute(statement, parameters or {})
        names = [column[0] for column in result.description]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    def list_runs(
        self, organization: str, asked: RunFilter, born: Born | None = None
    ) -> list[RunRecord]:
        """Return a page of runs in the requested order."""
        born = born or {}
        names, values = asked.conditions(organization, born)
        if asked.percentile is not None:
            self._keep_slowest(names, values, asked.percentile, asked.expression)
        if asked.order_by == COST:
            self._expect_costs()
        by_time = asked.order_by == "created_at"
        pieces = [] if by_time else ["has"]
        backwards = asked.before is not None
        order, beyond = _ORDERS[by_time, asked.ascending != backwards]
        if asked.cursor is not None:
            values.update(self._cursor(organization, asked, asked.cursor, born))
            pieces.append(beyond)
        values["limit"] = asked.limit
        column = asked.order_column
        beside = (fill(RUNS[name], column=column) for name in pieces)
        kept = " AND ".join((where(names, asked.expression), *beside))
        statement = f"{RUNS['select']} {kept} {fill(RUNS[order], column=column)}"
        with self.limited(asked.expression):
            found = self.rows(statement, values)
            costs = self._costs_of(found) if asked.costs else {}
        for row in found:
            row.pop("born")
        records = [_run_record({**row, **costs.get(row["run_id"], {})}) for row in found]
        return records[::-1] if backwards else records

    def _costs_of(self, runs: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """Return the costs of these runs by their ids; none of runs without recorded steps."""
        places = {"born": [run["born"] for run in runs], "run_id": [r["run_id"] for r in runs]}
        found = self.rows(COSTS["of_runs"], places) if runs and self._has_costs() else []
        return {row.pop("run_id"): row for row in found}

    def _has_costs(self) -> bool:
        """Whether the read models have costs; those of an older version have none until a replay.

        A connection is to one generation, so it is asked once.
        """
        if self._costs_there is None:
            ((there,),) = self._db.execute(COSTS["there"]).fetchall()
            self._costs_there = bool(there)
        return self._costs_there

    def _expect_costs(self) -> None:
        if not self._has_costs():
            raise ReadModelsError(
                f"{COST}: expected read models that have costs, found those of an older version; "
                f"run `runledger replay --changed --switch`"
            )

    def limited(self, expression: Expression | None) -> AbstractContextManager[None]:
        """Limit the time of a query with conditions that a user wrote.

        Raises ReadModelsError if they are about costs, and the read models have none.
        """
        if expression is None:
            return nullcontext()
        if expression.asks_costs:
            self._expect_costs()
        return limited(self._db)

    def _keep_slowest(
        self,
        names: list[str],
        values: dict[str, Any],
        percentile: float,
        expression: Expression | None,
    ) -> None:
        """Add the condition that keeps the runs at least as slow as this percentile of them."""
        names.append("has_duration")
        with self.limited(expression):
            ((threshold,),) = self._db.execute(
                RUNS["percentile"] + where(names, expression), {**values, "percentile": percentile}
            ).fetchall()
        # Without runs the percentile is NULL, no comparison with NULL is true, and no run is kept.
        names.append("at_least")
        values["threshold"] = threshold

    def _cursor(
        self, organization: str, asked: RunFilter, run_id: str, born: Born
    ) -> dict[str, Any]:
        names, values = RunFilter(run_id=run_id).conditions(organization, born)
        statement = fill(RUNS["cursor"], column=asked.order_column) + where(names)
        found = self._db.execute(statement, values).fetchall()
        if not found:
            raise NotFound("run", run_id, "it is the cursor of a page")
        ((created_at, value, position),) = found
        if asked.order_by == "created_at":
            return {"cursor_time": created_at, "cursor_id": run_id}
        if value is None:
            why = " has not ended" if asked.order_by == "duration" else " has none"
            raise InvalidArgument(
                f"list_runs: the cursor of an order by {asked.order_by} must have one, run "
                f"{run_id!r}{why}"
            )
        return {"cursor_value": value, "cursor_position": position}

    def list_steps(self, organization: str, asked: StepFilter) -> list[StepView]:
        """Return a page of steps in the requested order."""
        return list_steps(self.rows, organization, asked)

    def step(self, organization: str, step_id: str) -> StepView:
        """Return a step, or raise NotFound."""
        return get_step(self.rows, organization, step_id)

    def durations(self, organization: str, asked: RunFilter) -> RunDurations:
        """Return how many of the filtered runs have a duration, and its percentiles in ns."""
        where, values = self.matching(organization, asked)
        with self.limited(asked.expression):
            (row,) = self.rows(RUNS["durations"] + where, values)
        p = row["p"] or [None] * 4
        return RunDurations(runs=row["runs"], p50=p[0], p90=p[1], p95=p[2], p99=p[3])

    def matching(self, organization: str, asked: RunFilter) -> tuple[str, dict[str, Any]]:
        """Return the WHERE of exactly the runs that the filters leave, and its parameters."""
        names, values = asked.conditions(organization, {})
        if asked.percentile is not None:
            self._keep_slowest(names, values, asked.percentile, asked.expression)
        return where(names, asked.expression), values

    def meeting(self, organization: str, text: str, born: Sequence[int]) -> list[str]:
        """Return the ids of the runs that meet a condition, of those born at these times."""
        asked = run_filter("meeting", where=text)
        names, values = asked.conditions(organization, {})
        values["born_at"] = list(born)
        statement = RUNS["ids"] + where([*names, "born_at"], asked.expression)
        with self.limited(asked.expression):
            return [row["run_id"] for row in self.rows(statement, values)]

    def usage_totals(
        self,
        organization: str,
        by: Sequence[str],
        *,
        project_id: str | None = None,
        agent_id: str | None = None,
        model: str | None = None,
        since: date | None = None,
        until: date | None = None,
        where: str | None = None,
    ) -> list[UsageTotal]:
        """Return token totals grouped by any of project, agent, model, day."""
        _known("usage", by, USAGE_GROUPS)
        scope: dict[str, Any] = {
            "organization": organization,
            "by": list(by),
            "project_id": project_id,
            "agent_id": agent_id,
            "model": model,
            "since": since,
            "until": until,
        }
        statement, cost_statement = USAGE["totals"], COSTS["totals"]
        asked = run_filter("usage", where=where)
        with self.limited(asked.expression):
            if asked.expression is not None:
                runs, values = self.matching(organization, asked)
                scope.update(values)
                statement = fill(USAGE["totals_of_runs"], where=runs)
                cost_statement = fill(COSTS["totals_of_runs"], where=runs)
            costs = self._costs(cost_statement, scope)
            return [
                UsageTotal(**row, **costs.get(tuple(row[name] for name in _GROUPED), {}))
                for row in self.rows(statement, scope)
            ]

    def _costs(
        self, statement: str, scope: dict[str, Any]
    ) -> dict[tuple[Any, ...], dict[str, Any]]:
        """Return the costs of each group by its columns; none if the read models have no costs."""
        found = self.rows(statement, scope) if self._has_costs() else []
        return {tuple(row.pop(name) for name in _GROUPED): row for row in found}

    def percentiles(
        self,
        organization: str,
        by: Sequence[str],
        *,
        project_id: str | None = None,
        agent_id: str | None = None,
        since: date | None = None,
        until: date | None = None,
        where: str | None = None,
    ) -> list[DurationPercentiles]:
        """Return duration percentiles (ns) grouped by any of project, agent, day."""
        _known("percentiles", by, PERCENTILES_GROUPS)
        scope: dict[str, Any] = {
            "organization": organization,
            "project_id": project_id,
            "agent_id": agent_id,
            "since": since,
            "until": until,
        }
        asked = run_filter("percentiles", where=where)
        if asked.expression is None and set(by) == set(PERCENTILES_GROUPS):
            statement = PERCENTILES["stored"]
        else:
            scope["by"] = list(by)
            statement = PERCENTILES["grouped"]
        with self.limited(asked.expression):
            only = ""
            if asked.expression is not None:
                runs, values = self.matching(organization, asked)
                scope.update(values)
                only = fill(PERCENTILES["only_runs"], where=runs)
            rows = self.rows(fill(statement, only=only), scope)
        return [DurationPercentiles(**row) for row in rows]

    def agents(self, organization: str, agent_id: str | None = None) -> list[AgentRow]:
        """Return the agents with their last run and stop reason."""
        rows = self.rows(AGENTS["agents"], {"organization": organization, "agent_id": agent_id})
        return [AgentRow(**row) for row in rows]

    def callbacks(
        self,
        organization: str,
        statuses: Sequence[str],
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = None,
    ) -> list[CallbackRow]:
        """Return callbacks of runs that ended in the span, the last requested first."""
        rows = self.rows(
            CALLBACKS["list"],
            {
                "organization": organization,
                "statuses": list(statuses) or None,
                "since": since,
                "until": until,
                "limit": limit,
            },
        )
        return [CallbackRow(**row) for row in rows]

    def silent_runs(self, silent_since: datetime, organization: str | None) -> list[dict[str, Any]]:
        """Return open runs without an event since then."""
        return self.rows(
            RUNS["silent"], {"silent_since": silent_since, "organization": organization}
        )

    def overdue_runs(self, at: datetime, organization: str | None) -> list[dict[str, Any]]:
        """Return runs whose approval deadline has passed."""
        return self.rows(RUNS["overdue"], {"at": at, "organization": organization})

    def open_runs(
        self,
        organization: str,
        agent_id: str | None,
        conversation_id: str | None,
        *,
        without_conversation: bool = False,
    ) -> list[str]:
        """Return the ids of runs that can still be cancelled, the newest first."""
        scope = {
            "organization": organization,
            "agent_id": agent_id,
            "conversation_id": conversation_id,
            "without_conversation": without_conversation,
        }
        return [row["run_id"] for row in self.rows(RUNS["open_runs"], scope)]

    def parked(self) -> list[Parked]:
        """Return the streams whose events are left out because they cannot be applied."""
        return parked(self._db)

    def sql(self, statement: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Return columns and rows of an analyst's SELECT."""
        return self.sql_rows(statement, lambda columns, rows: (columns, list(rows)))

    def sql_rows(self, statement: str, take: Take[_T]) -> _T:
        """Return the result of `take` for columns and rows of an analyst's SELECT.

        Rows are fetched while `take` consumes them. Any statement that could write is refused.
        """
        try:
            parsed = self._db.extract_statements(statement)
            reads = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)
            if len(parsed) != 1 or parsed[0].type not in reads:
                raise InvalidArgument("sql: expected one SELECT, found something else")
            result = self._db.execute(statement)
        except duckdb.Error as e:
            raise InvalidArgument(f"sql: {e}") from e
        return take([column[0] for column in result.description], self._rows(result))

    def _rows(self, result: Any) -> RowIterator:
        while True:
            if self._unwanted():
                # DuckDB interrupts what it executes; to hand out what it has made is not that.
                raise duckdb.InterruptException("interrupted between two rows")
            try:
                some = result.fetchmany(FETCH_ROWS)
            except duckdb.Error as e:
                if isinstance(e, UNREADABLE):
                    raise
                raise InvalidArgument(f"sql: {e}") from e
            if not some:
                return
            yield from some


def _known(what: str, by: Sequence[str], names: tuple[str, ...]) -> None:
    unknown = [name for name in by if name not in names]
    if unknown:
        raise InvalidArgument(f"{what}: group by any of {', '.join(names)}, found {unknown}")


def _run_record(row: dict[str, Any]) -> RunRecord:
    for name in _JSON:
        if row[name] is not None:
            row[name] = json.loads(row[name])
    return RunRecord(**row)
