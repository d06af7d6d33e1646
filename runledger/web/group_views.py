"""The pages of agents, tools and models: each with its counts, outcomes, durations and tokens."""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from runledger.ledger.part import LedgerPart
from runledger.server.call import Call
from runledger.web import shown
from runledger.web.address import Address
from runledger.web.buckets import BUCKETS, bucket_bar
from runledger.web.run_groups import SQL
from runledger.web.run_search import AsOfNow
from runledger.web.view import View


class _Counts(NamedTuple):
    """A column of counts: its title, its key, and the status of runs that it leads to."""

    title: str
    key: str
    status: str | None = None


class _Group(NamedTuple):
    """What a page groups by, its columns, and the filter of the list that a row leads to."""

    name: str
    title: str
    one: str
    counts: Sequence[_Counts]
    tokens: bool
    filter: str | None


_RUNS: Final = _Counts("Runs", "runs")
_FAILED: Final = _Counts("Failed", "failed", "failed")
AGENTS: Final = _Group(
    "agents",
    "Agents",
    "Agent",
    (_RUNS, _FAILED, _Counts("Cancelled", "cancelled", "cancelled"), _Counts("Open", "open")),
    True,
    "agent_id",
)
TOOLS: Final = _Group(
    "tools",
    "Tools",
    "Tool",
    (
        _RUNS,
        _Counts("Calls", "calls"),
        _Counts("Errors", "failed"),
        _Counts("Denied", "denied"),
        _Counts("Open", "open"),
    ),
    False,
    "tools_used",
)
MODELS: Final = _Group(
    "models",
    "Models",
    "Model",
    (_RUNS, _Counts("Steps", "steps"), _Counts("Failed", "failed")),
    True,
    None,
)


def shows(group: _Group) -> Callable[[Call[AsOfNow, None]], Any]:
    """Return the handler of a page of groups."""

    async def show(call: Call[AsOfNow, None]) -> View:
        opened = call.ledger.part(LedgerPart).opened
        organization = {"organization": call.actor.organization}
        rows = await opened.ask(
            lambda q: q.rows(SQL[group.name], organization), call.query.past().get("as_of")
        )
        return View(
            "groups.html",
            group.title,
            {group.name: rows},
            {
                "group": group,
                "rows": [_drawn(row, group, call.query) for row in rows],
                "buckets": BUCKETS if group.tokens else (),
            },
        )

    return show


def _drawn(row: dict[str, Any], group: _Group, query: AsOfNow) -> dict[str, Any]:
    link = None
    if group.filter is not None:
        link = Address.of("runs").having(**{group.filter: row["value"], "as_of": query.as_of})
    p = row["p"] or (None, None, None)
    return {
        "value": row["value"],
        "link": link,
        "counts": [(row[column.key], _of_status(link, column.status)) for column in group.counts],
        "p": [shown.duration(ns) for ns in p],
        # A sum over runs that reported nothing is not known, never 0.
        "total": row.get("total_tokens") or None,
        "bar": bucket_bar(row) if group.tokens else [],
        "last": row["last"],
    }


def _of_status(link: Address | None, status: str | None) -> Address | None:
    return None if link is None or status is None else link.having(statuses=status)
