"""The list of runs: filters, facets, charts that are filters, and the table."""

from datetime import timedelta
from typing import Any, Final, get_args

from projections.queries.queries import Queries
from projections.queries.run_filter import SortKey, run_filter
from runledger.events import StopReason
from runledger.ledger.part import LedgerPart
from runledger.records import RunRecord
from runledger.server.call import Call
from runledger.web import shown
from runledger.web.address import Address
from runledger.web.buckets import BUCKETS, bucket_bar
from runledger.web.charts import (
    STATUSES,
    Chart,
    Column,
    Stack,
    column_chart,
    duration_chart,
    label_of,
    place_of,
    time_columns,
)
from runledger.web.run_columns import COLUMNS, shown_columns
from runledger.web.run_groups import FACETS, RunGroups, run_groups
from runledger.web.run_search import COMPARED, RunSearch, chips
from runledger.web.table_file import FORMS
from runledger.web.view import View

_LOLLY: Final = 116.0


async def show(call: Call[RunSearch, None]) -> View:
    """Return the list of runs that the filters leave."""
    search = call.query
    opened = call.ledger.part(LedgerPart).opened
    records = await call.ledger.list_runs(**search.filters(), **search.past(), actor=call.actor)
    asked = run_filter("list_runs", **search.conditions(), order_by=search.order_by)
    organization = call.actor.organization
    moment = search.past().get("as_of")

    def grouped(queries: Queries) -> RunGroups:
        with queries.limited(asked.expression):
            return run_groups(queries, organization, asked)

    groups = await opened.ask(grouped, moment)
    here = here_of(search)
    columns = shown_columns(search.columns)
    return View(
        "runs.html",
        "Runs",
        {"runs": records, "groups": groups._asdict()},
        {
            "search": search,
            "here": here,
            "chips": [(chip, _without(here, chip.name, chip.value)) for chip in chips(search)],
            "facets": facets(groups, here),
            "over_time": runs_over_time(groups.times, groups.unit, here),
            "over_durations": _durations(groups, search, here),
            "rows": [row(record, groups) for record in records],
            "older": _beyond(here, records, search),
            "newer": _before(here, records, search),
            "sorts": _sorts(search, here),
            "columns": columns,
            "all_columns": COLUMNS,
            "order_title": next((c.title for c in COLUMNS if c.order == search.order_by), None),
            "files": _files(here),
            "stop_reasons": get_args(StopReason),
            "compared": list(COMPARED.items()),
            "buckets": BUCKETS,
        },
    )


def here_of(search: RunSearch) -> Address:
    """Return the address of a list, with the parameters that differ from what is the default."""
    given = search.model_dump(mode="json", exclude_defaults=True)
    return Address.of("runs").having(**given)


def _without(here: Address, name: str, value: str | None) -> Address:
    return here.without(name, value).without("after").without("before")


def facets(groups: RunGroups, here: Address) -> list[dict[str, Any]]:
    """Return the facets: each value with its count, its share and the list of it alone."""
    made = []
    for title, name in FACETS.items():
        rows = groups.facets[title]
        most = max((one["runs"] for one in rows), default=0)
        first = here.without("after").without("before")
        values = [
            {
                "value": one["value"],
                "runs": one["runs"],
                "share": round(100 * one["runs"] / most, 1),
                "link": first.having(**{name: [one["value"]]}),
                "on": (name, one["value"]) in here.pairs,
            }
            for one in rows
        ]
        if values:
            made.append({"title": title, "name": name, "values": values})
    return made


def runs_over_time(rows: list[dict[str, Any]], unit: str, here: Address | None) -> list[Chart]:
    """Return the chart of runs over time; each bar leads to the runs of `here` that began then."""
    columns = []
    for begin, end, stack in time_columns(rows, unit, _stack):
        number = sum(n for _, n in stack)
        link = None
        if here is not None:
            first = here.without("after").without("before")
            link = first.having(
                start_date=shown.machine_moment(begin),
                end_date=shown.machine_moment(end - timedelta(microseconds=1)),
            )
        label = label_of(begin, unit)
        columns.append(Column(f"{label}: {number:,} runs", stack, link, label))
    return column_chart(f"Runs per {unit}", columns)


def _stack(found: dict[Any, Any]) -> Stack:
    return [(fill, found[status]["runs"] if status in found else 0) for status, fill in STATUSES]


def _durations(groups: RunGroups, search: RunSearch, here: Address) -> list[Chart]:
    duration = search.conditions().get("duration_filter")
    low, high = 0.0, float("inf")
    if isinstance(duration, dict):
        value = float(duration["value"])
        low, high = (value, high) if duration["operator"] in ("gt", "gte") else (low, value)
        if duration["operator"] == "eq":
            low = value
    clean = here.without("after").without("before").without("duration_operator")
    return duration_chart(
        "Durations of runs",
        groups.durations,
        groups.percentiles,
        lambda ns: clean.having(duration=f"{ns / 1e9:.3g}s"),
        shown.duration,
        (low, high),
    )


def row(record: RunRecord, groups: RunGroups) -> dict[str, Any]:
    """Return what is drawn of one run of the list."""
    slow = groups.percentiles["p95"]
    ns = record.run_ns
    return {
        "run": record,
        "dot": None if ns is None else 4 + place_of(ns, _LOLLY),
        "slow": ns is not None and slow is not None and ns >= slow,
        "bar": bucket_bar(record.model_dump()),
    }


def _beyond(here: Address, records: list[RunRecord], search: RunSearch) -> Address | None:
    if not records or (len(records) < search.limit and search.before is None):
        return None
    return here.without("before").having(after=records[-1].run_id)


def _before(here: Address, records: list[RunRecord], search: RunSearch) -> Address | None:
    if not records or (search.after is None and search.before is None):
        return None
    if search.before is not None and len(records) < search.limit:
        return None
    return here.without("after").having(before=records[0].run_id)


def _sorts(search: RunSearch, here: Address) -> dict[str, Address]:
    """Return where the head of each column leads: its order, or the other direction of it."""
    first = here.without("after").without("before")
    return {
        name: first.having(
            order_by=name, ascending=search.order_by == name and not search.ascending
        )
        for name in get_args(SortKey)
    }


def _files(here: Address) -> list[tuple[str, Address]]:
    """Return the addresses of the whole list as a file, in each form."""
    whole = here.without("after").without("before").without("limit")
    return [(words, whole.twin(form)) for form, words in FORMS.items()]
