"""Counts over the runs that a filter leaves: for facets, and for charts above the list."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

from projections.queries.queries import Queries
from projections.queries.run_filter import RunFilter
from runledger.sql_file import fill, statements

SQL: Final = statements(Path(__file__).with_suffix(".sql"))
FACETS: Final = {
    "status": ("statuses", "by_status"),
    "agent": ("agent_id", "by_agent"),
    "stop reason": ("stop_reason", "by_stop_reason"),
    "tool": ("tools_used", "by_tool"),
    "project": ("project_id", "by_project"),
}
"""A facet's title, the filter that it sets, and the statement that counts it."""

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


def run_groups(
    queries: Queries, organization: str, asked: RunFilter, model: str | None = None
) -> RunGroups:
    """Return the groups of the runs that a filter leaves, and a model if one is given."""
    where, values = matching(queries, organization, asked, model)
    wide = asked.model_copy(update={"duration_filter": None, "duration_percentile": None})
    wide_where, wide_values = matching(queries, organization, wide, model)
    (total,) = queries.rows(fill(SQL["total"], where=where, column=asked.order_column), values)
    unit = unit_for(total["first"], total["last"])
    return RunGroups(
        total["runs"],
        total["in_order"],
        unit,
        {
            title: queries.rows(fill(SQL[statement], where=where), values)
            for title, (_, statement) in FACETS.items()
        },
        queries.rows(fill(SQL["by_time"], where=where), {**values, "unit": unit}),
        queries.rows(fill(SQL["by_duration"], where=wide_where), wide_values),
        queries.durations(organization, wide).model_dump(),
    )


def matching(
    queries: Queries, organization: str, asked: RunFilter, model: str | None
) -> tuple[str, dict[str, Any]]:
    """Return the WHERE of the runs of a filter, and of a model if one is given; its parameters."""
    where, values = queries.matching(organization, asked)
    if model is None:
        return where, values
    return f"{where} {SQL['of_model']}", {**values, "value": model}


def unit_for(first: datetime | None, last: datetime | None) -> str:
    """Return the span of time of which not too many and not too few lie between two moments."""
    if first is None or last is None:
        return "day"
    return next((unit for unit, most in _UNITS if last - first <= most), "year")
