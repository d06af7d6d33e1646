"""The pages of agents, conversations, tools and models: each with counts, durations and tokens."""

from collections.abc import Callable
from typing import Any

from runledger.ledger.part import LedgerPart
from runledger.server.call import Call
from runledger.web import shown
from runledger.web.address import Address
from runledger.web.buckets import BUCKETS, bucket_bar
from runledger.web.group import Group
from runledger.web.run_groups import of_group
from runledger.web.run_search import AsOfNow
from runledger.web.view import View


def shows(group: Group) -> Callable[[Call[AsOfNow, None]], Any]:
    """Return the handler of a page of groups."""

    async def show(call: Call[AsOfNow, None]) -> View:
        opened = call.ledger.part(LedgerPart).opened
        scope = {"organization": call.actor.organization, "value": None}
        rows = await opened.ask(
            lambda q: q.rows(of_group(group.name), scope), call.query.past().get("as_of")
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


def _drawn(row: dict[str, Any], group: Group, query: AsOfNow) -> dict[str, Any]:
    link = group.runs(row["value"], query.as_of)
    p = row["p"] or (None, None, None)
    return {
        "value": row["value"],
        "link": None if row["value"] is None else group.one_address(row["value"], query.as_of),
        "counts": [(row[column.key], _of_status(link, column.status)) for column in group.counts],
        "p": [shown.duration(ns) for ns in p],
        # A sum over runs that reported nothing is not known, never 0.
        "total": row.get("total_tokens") or None,
        "bar": bucket_bar(row) if group.tokens else [],
        "last": row["last"],
    }


def _of_status(link: Address | None, status: str | None) -> Address | None:
    return None if link is None or status is None else link.having(statuses=status)
