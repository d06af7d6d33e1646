"""Charts as numbers that a template draws: where bars, lines and labels stand in an SVG."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from runledger.web.address import Address

HEIGHT: Final = 196
WIDTHS: Final = (("wide", 640), ("narrow", 440))
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 10, 20, 20
_DECADE: Final = 8
"""Buckets of a histogram in each power of ten."""
_SHORTEST_NS: Final = 10_000_000
_DAY_NS: Final = 86_400_000_000_000
_MARKS: Final = (
    (0.01, "10 ms"),
    (0.1, "0.1 s"),
    (1, "1 s"),
    (10, "10 s"),
    (60, "1 m"),
    (600, "10 m"),
    (3600, "1 h"),
    (86400, "1 d"),
)
STATUSES: Final = (
    ("completed", "v-bar"),
    ("running", "v-accent"),
    ("created", "v-dim"),
    ("cancelled", "v-cancelled"),
    ("failed", "v-failed"),
)
"""In which order the statuses are stacked, from the axis up, and how they are filled."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A rectangle; `says` is its hint."""

    x: float
    y: float
    width: float
    height: float
    fill: str
    says: str
    link: Address | None = None


@dataclass(frozen=True, slots=True)
class Label:
    """A text at a place of an axis, with the line of the grid there."""

    at: float
    words: str
    anchor: str = "middle"


@dataclass(frozen=True, slots=True)
class Line:
    """A line through points, named at its end."""

    points: str
    name: str
    x: float
    y: float
    words: str


@dataclass(frozen=True, slots=True)
class Chart:
    """One drawing of one width."""

    size: str
    width: int
    name: str
    marks: list[Mark] = field(default_factory=list)
    across: list[Label] = field(default_factory=list)
    up: list[Label] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    rules: list[Label] = field(default_factory=list)
    height: int = HEIGHT

    @property
    def floor(self) -> float:
        """Where the axis of x lies."""
        return self.height - _BOTTOM

    @property
    def left(self) -> float:
        """Where the axis of y lies."""
        return _LEFT

    @property
    def right(self) -> float:
        """Where the plot ends."""
        return self.width - _RIGHT


Stack = Sequence[tuple[str, int]]
"""Fills and numbers, from the axis up."""


@dataclass(frozen=True, slots=True)
class Column:
    """One bar of a chart: what it is called, what it stacks, and where it leads."""

    words: str
    stack: Stack
    link: Address | None = None
    label: str | None = None


def column_chart(
    name: str, columns: Sequence[Column], show: Callable[[int], str] = lambda n: f"{n:,}"
) -> list[Chart]:
    """Return stacked columns, for a wide and a narrow window. Counts begin at 0.

    Parameters:
        name: what the chart shows, for those that hear it.
        columns: the bars from left to right.
        show: writes a number of the axis and of the hints.
    """
    top = max((sum(n for _, n in column.stack) for column in columns), default=0)
    ticks = _ticks(top)
    scale = (HEIGHT - _BOTTOM - _TOP) / max(top, ticks[-1] if ticks else 1, 1)
    return [_columns(name, columns, show, size, width, ticks, scale) for size, width in WIDTHS]


def _columns(
    name: str,
    columns: Sequence[Column],
    show: Callable[[int], str],
    size: str,
    width: int,
    ticks: Sequence[int],
    scale: float,
) -> Chart:
    chart = Chart(size, width, name)
    chart.up.extend(Label(chart.floor - n * scale, show(n)) for n in ticks)
    step = (chart.right - chart.left) / max(len(columns), 1)
    bar = min(step - 1, 40.0)
    every = max(1, math.ceil(len(columns) / (width // 90)))
    for place, column in enumerate(columns):
        x, y = chart.left + place * step + (step - bar) / 2, chart.floor
        for fill, number in column.stack:
            if number:
                height = number * scale
                y -= height
                chart.marks.append(
                    Mark(
                        round(x, 1),
                        round(y, 1),
                        round(max(bar, 1), 1),
                        round(max(height, 1), 1),
                        fill,
                        column.words,
                        column.link,
                    )
                )
        if column.label is not None and place % every == 0:
            chart.across.append(Label(round(x + bar / 2, 1), column.label))
    return chart


def time_columns(
    rows: Sequence[dict[str, Any]], unit: str, stack_of: Callable[[dict[Any, Any]], Stack]
) -> list[tuple[datetime, datetime, Stack]]:
    """Return spans of time without gaps, each with its stack.

    Parameters:
        rows: have `begin`, a time in UTC without its zone, and what `stack_of` reads.
        unit: the span, as `date_trunc` takes it.
        stack_of: makes a stack of the rows of one span, by their status.
    """
    found: dict[datetime, dict[Any, Any]] = {}
    for row in rows:
        found.setdefault(row["begin"], {})[row.get("status")] = row
    if not found:
        return []
    at, last = min(found), max(found)
    spans = []
    while at <= last:
        end = following(at, unit)
        spans.append((at.replace(tzinfo=UTC), end.replace(tzinfo=UTC), stack_of(found.get(at, {}))))
        at = end
    return spans


def following(at: datetime, unit: str) -> datetime:
    """Return where the next span of time begins."""
    if unit == "year":
        return at.replace(year=at.year + 1)
    if unit == "month":
        return at.replace(year=at.year + at.month // 12, month=at.month % 12 + 1)
    return at + timedelta(**{f"{unit}s": 1})


def label_of(at: datetime, unit: str) -> str:
    """Return a span of time as an axis names it."""
    form = {
        "second": "%H:%M:%S",
        "minute": "%H:%M",
        "hour": "%-d %b %H:00",
        "month": "%b %Y",
        "year": "%Y",
    }.get(unit, "%-d %b")
    return at.strftime(form)


def place_of(ns: float, width: float) -> float:
    """Return where a duration lies on the axis from 10 ms to 1 d that every view shares."""
    share = math.log(max(ns, _SHORTEST_NS) / _SHORTEST_NS) / math.log(_DAY_NS / _SHORTEST_NS)
    return round(min(max(share, 0), 1) * width, 1)


def duration_chart(
    name: str,
    rows: Sequence[dict[str, Any]],
    percentiles: dict[str, Any],
    link: Callable[[int], Address | None],
    show: Callable[[float | None], str | None],
    kept: tuple[float, float],
) -> list[Chart]:
    """Return the distribution of durations on a log axis, with its percentiles.

    Parameters:
        name: what the chart shows.
        rows: `bucket`, `status` and `runs`.
        percentiles: p50, p95 and p99 in nanoseconds; None where they are not known.
        link: the address for runs of at least so many nanoseconds; None if there is none.
        show: writes a duration.
        kept: the durations in nanoseconds that the filter leaves; the other bars are dim.
    """
    last = math.ceil(math.log10(86_400) * _DECADE)
    found: dict[int, dict[str, int]] = {}
    for row in rows:
        stack = found.setdefault(min(row["bucket"], last), {})
        stack[row["status"]] = stack.get(row["status"], 0) + row["runs"]
    top = max((sum(stack.values()) for stack in found.values()), default=0)
    ticks = _ticks(top)
    scale = (HEIGHT - _BOTTOM - _TOP - 14) / max(top, ticks[-1] if ticks else 1, 1)
    charts = []
    for size, width in WIDTHS:
        chart = Chart(size, width, name)
        across = chart.right - chart.left
        chart.up.extend(Label(chart.floor - n * scale, f"{n:,}") for n in ticks)
        for bucket, stack in sorted(found.items()):
            begin, end = bucket_ns(bucket), bucket_ns(bucket + 1)
            x = chart.left + place_of(begin, across)
            wide = max(chart.left + place_of(end, across) - x - 1, 2)
            y = chart.floor
            inside = begin >= kept[0] * 0.999 and begin < kept[1]
            for status, fill in STATUSES:
                if number := stack.get(status, 0):
                    y -= number * scale
                    chart.marks.append(
                        Mark(
                            round(x, 1),
                            round(y, 1),
                            round(wide, 1),
                            round(max(number * scale, 1), 1),
                            fill if inside else "v-dim",
                            f"{show(begin)} to {show(end)}: {sum(stack.values()):,} runs",
                            link(int(begin)),
                        )
                    )
        chart.across.extend(
            Label(chart.left + place_of(s * 1e9, across), words) for s, words in _MARKS
        )
        chart.rules.extend(_rules(chart, percentiles, show))
        charts.append(chart)
    return charts


def _rules(
    chart: Chart, percentiles: dict[str, Any], show: Callable[[float | None], str | None]
) -> list[Label]:
    """Return the lines of percentiles; a label gives way to the one before by standing after it."""
    made: list[Label] = []
    for name in ("p50", "p95", "p99"):
        ns = percentiles[name]
        if ns is not None:
            x = chart.left + place_of(ns, chart.right - chart.left)
            left_of_it = name == "p50" and x > chart.left + 90
            anchor = "end" if left_of_it or x > chart.right - 90 else "start"
            made.append(Label(round(x, 1), f"{name} {show(ns)}", anchor))
    return made


def bucket_ns(bucket: int) -> float:
    """Return the nanoseconds at which a bucket of the histogram begins."""
    return float(10 ** (bucket / _DECADE) * 1e9)


def line_chart(
    name: str,
    begins: Sequence[datetime],
    series: dict[str, Sequence[float | None]],
    unit: str,
    show: Callable[[float | None], str | None],
) -> list[Chart]:
    """Return durations over time, on a log axis from 10 ms to 1 d, each line named at its end."""
    charts = []
    for size, width in WIDTHS:
        chart = Chart(size, width, name)
        high, across = chart.floor - _TOP, chart.right - chart.left - 76
        chart.up.extend(
            Label(round(chart.floor - place_of(s * 1e9, high), 1), words) for s, words in _MARKS
        )
        places = _places(begins, chart.left, across)
        last = -90.0
        for x, begin in zip(places, begins, strict=True):
            if x - last >= 90:
                chart.across.append(Label(x, label_of(begin, unit)))
                last = x
        chart.lines.extend(_named_lines(chart, series, places, high, show))
        charts.append(chart)
    return charts


def _places(begins: Sequence[datetime], left: float, across: float) -> list[float]:
    """Return where moments lie on an axis of time; a span without runs takes its room too."""
    if not begins:
        return []
    whole = (begins[-1] - begins[0]) / timedelta(seconds=1) or 1.0
    seconds = ((begin - begins[0]) / timedelta(seconds=1) for begin in begins)
    return [round(left + across * s / whole, 1) for s in seconds]


def _named_lines(
    chart: Chart,
    series: dict[str, Sequence[float | None]],
    places: Sequence[float],
    high: float,
    show: Callable[[float | None], str | None],
) -> list[Line]:
    """Return the lines; names of lines that end side by side stand one below the other."""
    found = []
    for name, values in series.items():
        points = [
            (x, round(chart.floor - place_of(ns, high), 1))
            for x, ns in zip(places, values, strict=True)
            if ns is not None
        ]
        if points:
            last = next(ns for ns in reversed(values) if ns is not None)
            found.append((points[-1][1], points, name, f"{name} {show(last)}"))
    made: list[Line] = []
    below = 0.0
    for y, points, name, words in sorted(found, key=lambda line: (line[0], -int(line[2][1:]))):
        below = max(y + 4, below)
        drawn = " ".join(f"{a},{b}" for a, b in points)
        made.append(Line(drawn, name, points[-1][0] + 6, below, words))
        below += 12
    return made


def _ticks(top: int) -> list[int]:
    """Return round numbers from 0 to the top, three or four of them."""
    if top <= 0:
        return [0]
    rough = top / 3
    power = 10 ** math.floor(math.log10(rough)) if rough >= 1 else 1
    step = next(int(power * n) for n in (1, 2, 5, 10) if power * n >= rough * 0.999)
    return list(range(0, top + 1, max(step, 1)))


def shares(parts: Sequence[tuple[str, str, int | None]], width: float) -> list[Mark]:
    """Return a bar of shares: all of one length, with a gap between them.

    Parameters:
        parts: name, fill and number of each; None and 0 are left out.
        width: the length of the bar.
    """
    known = [(name, fill, number) for name, fill, number in parts if number]
    total = sum(number for _, _, number in known)
    marks, x = [], 0.0
    for name, fill, number in known:
        long = max((width - 0.8 * (len(known) - 1)) * number / total, 0.8)
        marks.append(Mark(round(x, 1), 0, round(long, 1), 10, fill, f"{name} {number:,}"))
        x += long + 0.8
    return marks
