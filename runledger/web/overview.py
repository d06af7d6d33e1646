"""The overview: one sentence of numbers, then runs, durations and tokens over time."""

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final, NamedTuple

from projections.queries.queries import Queries
from projections.queries.run_filter import RunConditions, RunFilter, run_filter
from runledger.ledger.part import LedgerPart
from runledger.parameters import last_moment, moment
from runledger.server.call import Call
from runledger.sql_file import fill
from runledger.web import shown
from runledger.web.address import Address
from runledger.web.buckets import BUCKETS, bucket_bar
from runledger.web.charts import Column, Stack, column_chart, label_of, line_chart, time_columns
from runledger.web.run_groups import SQL, Rows, unit_for
from runledger.web.run_search import AsOfNow
from runledger.web.runs import runs_over_time
from runledger.web.view import View

_LISTED: Final = 6
_LAST: Final = (
    ("Last hour", timedelta(hours=1)),
    ("Last day", timedelta(days=1)),
    ("Last 7 days", timedelta(days=7)),
    ("Last 30 days", timedelta(days=30)),
)


class Span(AsOfNow):
    """The runs that began from `start_date` until `end_date`, both included; all by default."""

    start_date: str | None = None
    end_date: str | None = None

    def conditions(self) -> RunConditions:
        """Return the span as filters of the list."""
        made = RunConditions()
        if self.start_date is not None:
            made["start_date"] = moment(self.start_date)
        if self.end_date is not None:
            made["end_date"] = last_moment(self.end_date)
        return made


class _Counted(NamedTuple):
    runs: int
    unit: str
    times: Rows
    percentiles: dict[str, Any]
    durations: Rows
    errors: Rows
    most_tokens: Rows


async def show(call: Call[Span, None]) -> View:
    """Return the overview of a span of time."""
    span, past = call.query, call.query.past()
    conditions = span.conditions()
    asked = run_filter("overview", **conditions)
    opened = call.ledger.part(LedgerPart).opened
    organization = call.actor.organization
    counted = await opened.ask(lambda q: _counted(q, organization, asked), past.get("as_of"))
    since, until = (_day(conditions.get(name)) for name in ("start_date", "end_date"))

    async def totals(column: str) -> Rows:
        found = await call.ledger.usage_totals(
            by=(column,), since=since, until=until, **past, actor=call.actor
        )
        return [row.model_dump() for row in found]

    by_day, by_model = await totals("day"), await totals("model")
    slowest = await call.ledger.list_runs(
        **conditions, order_by="duration", limit=_LISTED, **past, actor=call.actor
    )
    still: RunConditions = {**conditions, "statuses": ["running"]}
    running = await call.ledger.list_runs(**still, limit=_LISTED, **past, actor=call.actor)
    here = Address.of("runs").having(
        start_date=span.start_date, end_date=span.end_date, as_of=span.as_of
    )
    by_model.sort(key=lambda row: -row["total_tokens"])
    return View(
        "overview.html",
        "Overview",
        {
            "runs": counted.runs,
            "statuses": _statuses(counted.times),
            "times": counted.times,
            "percentiles": counted.percentiles,
            "tokens_by_day": by_day,
            "tokens_by_model": by_model,
            "failures": counted.errors,
            "slowest": slowest,
            "most_tokens": counted.most_tokens,
            "running": running,
        },
        {
            "span": span,
            "list": here,
            "unit": counted.unit,
            "over_time": runs_over_time(counted.times, counted.unit, here),
            "durations": _lines(counted.durations, counted.unit),
            "tokens": _tokens(by_day, ()),
            "tokens_without_reads": _tokens(by_day, ("cache_read_tokens",)),
            "reads": _share_of_reads(by_day),
            "models": [_model(row, by_model) for row in by_model],
            "most_failures": max((row["runs"] for row in counted.errors), default=0),
            "last": _spans(call),
            "buckets": BUCKETS,
        },
    )


def _counted(queries: Queries, organization: str, asked: RunFilter) -> _Counted:
    where, values = queries.matching(organization, asked)

    def rows(name: str, **more: object) -> Rows:
        return queries.rows(
            fill(SQL[name], where=where, column=asked.order_column), {**values, **more}
        )

    (total,) = rows("total")
    unit = unit_for(total["first"], total["last"])
    return _Counted(
        total["runs"],
        unit,
        rows("by_time", unit=unit),
        queries.durations(organization, asked).model_dump(),
        rows("durations_by_time", unit=unit),
        rows("by_error"),
        rows("most_tokens", limit=_LISTED),
    )


def _statuses(times: Rows) -> Rows:
    """Return how many runs have each status, the most frequent first."""
    counts: Counter[str] = Counter()
    for row in times:
        counts[row["status"]] += row["runs"]
    return [{"value": status, "runs": runs} for status, runs in counts.most_common()]


def _day(value: object) -> date | None:
    """Return the day of an end of the span, as totals of tokens are kept by day."""
    return value.date() if isinstance(value, datetime) else None


def _lines(rows: Rows, unit: str) -> Any:
    series: dict[str, Sequence[float | None]] = {
        name: [row["p"][n] for row in rows] for n, name in enumerate(("p50", "p95", "p99"))
    }
    begins = [row["begin"] for row in rows]
    return line_chart(f"Durations per {unit}", begins, series, unit, shown.duration)


def _tokens(rows: Rows, without: tuple[str, ...]) -> Any:
    """Return the chart of tokens per day by bucket, without some buckets."""
    dated = [
        {**row, "begin": datetime(row["day"].year, row["day"].month, row["day"].day)}  # noqa: DTZ001
        for row in rows
    ]

    def stack(found: dict[Any, Any]) -> Stack:
        row = found.get(None, {})
        return [
            (fill, row.get(column) or 0) for _, fill, column in BUCKETS if column not in without
        ]

    columns = []
    for begin, _, parts in time_columns(dated, "day", stack):
        label = label_of(begin, "day")
        total = sum(number for _, number in parts)
        columns.append(Column(f"{label}: {total:,} tokens", parts, None, label))
    return column_chart("Tokens per day", columns, lambda n: str(shown.compact(n)))


def _share_of_reads(rows: Rows) -> float | None:
    """Return the share of the tokens whose bucket is known that a cache gave, in percent."""
    known = sum(row[column] or 0 for row in rows for _, _, column in BUCKETS)
    reads = sum(row["cache_read_tokens"] or 0 for row in rows)
    return round(100 * reads / known, 1) if known else None


def _model(row: dict[str, Any], rows: Rows) -> dict[str, Any]:
    most = max((one["total_tokens"] for one in rows), default=0)
    share = row["total_tokens"] / most if most else 0
    return {**row, "bar": bucket_bar(row, max(round(200 * share, 1), 4)), "wide": 200}


def _spans(call: Call[Span, None]) -> list[tuple[str, Address]]:
    now = datetime.now().astimezone()
    first = Address.of("overview").having(as_of=call.query.as_of)
    return [
        (words, first.having(start_date=shown.machine_moment(now - long)[:19] + "Z"))
        for words, long in _LAST
    ] + [("Everything", first)]
