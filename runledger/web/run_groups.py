"""Counts over the runs that a filter leaves: for facets, and for charts above the list."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

from projections.queries.queries import Queries
from projections.queries.run_filter import RunFilter
from runledger.sql_file import fill, statements

SQL: Final = statements(Path(__file__).with_suffix(".sql"))
FACETS: Final = {
    "status": "statuses",
    "agent": "agent_id",
    "stop reason": "stop_reason",
    "tool": "tools_used",
    "project": "project_id",
}
"""A facet's title, and the filter that it sets."""

_UNITS: Final = (
    ("second", timedelta(seconds=90)),
    ("minute", timedelta(minutes=90)),
    ("hour", timedelta(hours=60)),
    ("day", timedelta(days=75)),
    ("week", timedelta(days=500)),
    ("month", timedelta(days=3_000)),
)
Rows = list[dict[str, Any]]


def of_group(name: str) -> str:
    """Return the statement that counts each agent, conversation, tool or model."""
    return fill(SQL[name], outcomes=SQL["outcomes"])


class RunCounts(NamedTuple):
    """Counts of one set of runs: by each facet, by failure, and by status in each span of time."""

    unit: str
    facets: dict[str, Rows]
    failures: Rows
    times: Rows


class RunGroups(NamedTuple):
    """What is counted of one list of runs. `runs` are those that the filters leave, of which
    `in_order` have a value in the column that the list is ordered by: it shows these alone.

    `unit` is the span of the bars over time. `durations` counts runs before the filters of the
    duration, in buckets of an eighth of a power of ten.
    """

    runs: int
    in_order: int
    unit: str
    facets: dict[str, Rows]
    times: Rows
    durations: Rows
    percentiles: dict[str, Any]


def run_groups(queries: Queries, organization: str, asked: RunFilter) -> RunGroups:
    """Return the groups of the runs that a filter leaves."""
    where, values = queries.matching(organization, asked)
    (total,) = queries.rows(fill(SQL["total"], where=where, column=asked.order_column), values)
    counts = run_counts(queries, where, values, unit_for(total["first"], total["last"]))
    wide = asked.model_copy(update={"duration_filter": None, "duration_percentile": None})
    return RunGroups(
        total["runs"],
        total["in_order"],
        counts.unit,
        counts.facets,
        counts.times,
        run_durations(queries, organization, wide),
        queries.durations(organization, wide).model_dump(),
    )


def run_counts(queries: Queries, where: str, values: dict[str, Any], unit: str) -> RunCounts:
    """Return the counts of the runs of a WHERE, in one pass over them."""
    found: dict[str, Rows] = {title: [] for title in (*FACETS, "failure", "time")}
    for row in queries.rows(fill(SQL["counts"], where=where), {**values, "unit": unit}):
        found[row.pop("facet")].append(row)
    times = [
        {"begin": row["begin"], "status": row["value"], "runs": row["runs"]}
        for row in found.pop("time")
    ]
    for rows in found.values():
        for row in rows:
            del row["begin"]
    return RunCounts(unit, found, found.pop("failure"), times)


def run_durations(queries: Queries, organization: str, asked: RunFilter) -> Rows:
    """Return how many runs of a filter took so long, by status."""
    where, values = queries.matching(organization, asked)
    return queries.rows(fill(SQL["by_duration"], where=where), values)


def unit_for(first: datetime | None, last: datetime | None) -> str:
    """Return the span of time of which not too many and not too few lie between two moments."""
    if first is None or last is None:
        return "day"
    return next((unit for unit, most in _UNITS if last - first <= most), "year")
