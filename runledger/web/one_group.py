"""The page of one agent, conversation, tool or model: totals, distribution, errors, latest runs."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from projections.queries.queries import Queries
from projections.queries.run_filter import RunConditions, RunFilter, run_filter
from runledger.errors import NotFound
from runledger.ledger.part import LedgerPart
from runledger.server.call import Call
from runledger.sql_file import fill
from runledger.web import shown
from runledger.web.buckets import BUCKETS, bucket_bar
from runledger.web.charts import duration_chart
from runledger.web.group import Group
from runledger.web.run_groups import (
    SQL,
    Rows,
    RunCounts,
    of_group,
    run_counts,
    run_durations,
    unit_for,
)
from runledger.web.run_search import AsOfNow
from runledger.web.runs import runs_over_time
from runledger.web.view import View

_LATEST: Final = 20


class Named(AsOfNow):
    """`name` is the id or the name of the one that is shown."""

    name: str


class _Found(NamedTuple):
    total: dict[str, Any]
    counts: RunCounts
    durations: Rows
    latest: Rows

    @property
    def runs(self) -> int:
        """How many runs were counted."""
        return sum(row["runs"] for row in self.counts.facets["status"])


def shows(group: Group) -> Callable[[Call[Named, None]], Any]:
    """Return the handler of the page of one of a group."""

    async def show(call: Call[Named, None]) -> View:
        name, organization = call.query.name, call.actor.organization
        opened = call.ledger.part(LedgerPart).opened
        found = await opened.ask(
            lambda q: _found(q, organization, group, name), call.query.past().get("as_of")
        )
        runs = group.runs(name, call.query.as_of)
        p = dict(zip(("p50", "p95", "p99"), found.total["p"] or (None, None, None), strict=True))
        return View(
            "group.html",
            f"{group.one} {name}",
            {
                group.one.lower(): found.total,
                "groups": {
                    "runs": found.runs,
                    "unit": found.counts.unit,
                    "facets": found.counts.facets,
                    "times": found.counts.times,
                },
                "durations": found.durations,
                "errors": found.counts.failures,
                "latest": found.latest,
            },
            {
                "group": group,
                "value": name,
                "total": found.total,
                "counts": [(c.title, found.total[c.key], c.status) for c in group.counts],
                "runs_link": runs,
                "p": p,
                "over_time": runs_over_time(found.counts.times, found.counts.unit, runs),
                "over_durations": duration_chart(
                    f"Durations of {group.timed}",
                    found.durations,
                    p,
                    lambda _: None,
                    shown.duration,
                    (0.0, float("inf")),
                ),
                "bar": bucket_bar(found.total, 120) if group.tokens else [],
                "bars": [bucket_bar(row) for row in found.latest],
                "buckets": BUCKETS,
            },
        )

    return show


def _found(queries: Queries, organization: str, group: Group, name: str) -> _Found:
    scope = {"organization": organization, "value": name}
    total = queries.rows(of_group(group.name), scope)
    if not total:
        raise NotFound(group.one.lower(), name)
    asked = _filter(group, name)
    where, values = queries.matching(organization, asked)
    if group.filter is None:
        where, values = f"{where} {SQL['of_model']}", {**values, "value": name}
    # A run may begin before its first step or call: the bars are of another width at most.
    unit = unit_for(total[0]["first"], total[0]["last"])
    return _Found(
        total[0],
        run_counts(queries, where, values, unit),
        run_durations(queries, organization, asked)
        if group.durations is None
        else queries.rows(SQL[group.durations], scope),
        queries.rows(fill(SQL["latest"], where=where), {**values, "limit": _LATEST}),
    )


def _filter(group: Group, name: str) -> RunFilter:
    asked: RunConditions = {}
    if group.filter == "agent_id":
        asked["agent_id"] = name
    elif group.filter == "conversation_id":
        asked["conversation_id"] = name
    elif group.filter == "tools_used":
        asked["tools_used"] = [name]
    return run_filter(group.name, **asked)
