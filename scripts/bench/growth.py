"""Growth with the log: measures one ledger at 10,000 events, 30,000, … and draws the curves.

    python -m scripts.bench.growth [--size full] [--upto EVENTS] [--output DIRECTORY]

Writes growth.json and growth.png, and prints what a day of 100 M events would need.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import islice, pairwise
from math import log
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple, ParamSpec

import psycopg

from projections.fold.engine import Engine
from projections.fold.generation import Generation
from projections.queries.queries import Queries
from projections.queries.run_filter import run_filter
from runledger.store import Store, open_store
from runledger.store.postgres.address import parse
from runledger.store.protocol import EncodedEvent, Recorded, StreamWrite
from scripts.bench import chart, machine
from scripts.bench.bench import SIZES, Bench
from scripts.bench.generate import Row, fill_postgres, rows
from scripts.bench.rounds import percentile

_P = ParamSpec("_P")

DAY: Final = 100_000_000
"""Events of the day whose needs are computed."""

APPENDED: Final = 64
"""Events a commit while the append rate is measured: 64 tasks that wait for each other."""

POINTS: Final = {
    "tiny": (2_000, 6_000),
    "small": (10_000, 30_000, 100_000, 300_000, 1_000_000),
    "full": (10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000, 10_000_000),
}


class Point(NamedTuple):
    """The measurements with so many events in the log; times in ms, sizes in bytes."""

    events: int
    append_rate: float
    projection_rate: float
    batch_ms: float
    list_ms: float
    totals_ms: float
    log_bytes: int
    read_models_bytes: int


def _ms(call: Callable[_P, object], *args: _P.args, **kwargs: _P.kwargs) -> float:
    begin = time.perf_counter()
    call(*args, **kwargs)
    return 1000 * (time.perf_counter() - begin)


def _append(store: Store, given: Iterator[Row], commits: int) -> float:
    """Return events/s of commits of generated events, each stream a request of its own."""
    took, count = 0.0, 0
    for _ in range(commits):
        writes: dict[str, list[Row]] = {}
        for row in islice(given, APPENDED):
            writes.setdefault(row.stream, []).append(row)
        appends = [
            (StreamWrite(stream, of[0].version - 1, tuple(EncodedEvent(*row[2:]) for row in of)),)
            for stream, of in writes.items()
        ]
        begin = time.perf_counter()
        verdicts = store.append(appends)
        took += time.perf_counter() - begin
        count += sum(map(len, writes.values()))
        assert all(isinstance(verdict, Recorded) for verdict in verdicts)
    return count / took


def _log_bytes(url: str) -> int:
    address = parse(url)
    with psycopg.connect(**address.keywords) as db:
        query = b"SELECT pg_total_relation_size(to_regclass(%s))"
        ((size,),) = db.execute(query, (f"{address.schema}.ledger_events",)).fetchall()
    return int(size)


def measure(bench: Bench, points: tuple[int, ...]) -> Iterator[Point]:
    """Yield a point for every size of one growing ledger on PostgreSQL."""
    url, path = bench.schema(), bench.path(".duckdb")
    samples = bench.size.samples
    given = rows()
    asked = run_filter("list_runs", agent_id="agent-3")
    with (
        closing(open_store(url)) as store,
        closing(store.log_reader()) as reader,
        closing(Generation(path)) as generation,
    ):
        engine = Engine(generation, reader)
        for events in points:
            fill_postgres(store._dsn, given, events - store.head())  # type: ignore[attr-defined]
            before, begin = engine.position, time.perf_counter()
            engine.catch_up(events)
            rate = (events - before) / (time.perf_counter() - begin)
            generation.checkpoint()
            sizes = _log_bytes(url), path.stat().st_size
            appended = _append(store, given, 2 * samples)
            batches = []
            while engine.position + 1_000 <= store.head():
                batches.append(_ms(engine.catch_up, engine.position + 1_000))
            queries = Queries(generation.cursor())
            lists = [_ms(queries.list_runs, "org-1", asked) for _ in range(samples)]
            totals = [_ms(queries.usage_totals, "org-1", ["day"]) for _ in range(samples)]
            yield Point(
                events,
                appended,
                rate,
                median(batches or [0.0]),
                percentile(lists, 95),
                percentile(totals, 95),
                *sizes,
            )


def doubling(points: list[Point], name: str) -> float:
    """Return by which factor a figure grows when the events double, over the upper half."""
    upper = points[len(points) // 2 - 1 :] if len(points) > 2 else points
    slopes = [
        log(getattr(b, name) / getattr(a, name)) / log(b.events / a.events)
        for a, b in pairwise(upper)
        if getattr(a, name) and getattr(b, name)
    ]
    return float(2 ** median(slopes)) if slopes else 1.0


def day(points: list[Point]) -> dict[str, str]:
    """Return what 100 M events would need, computed from the curves."""
    last = points[-1]
    log_gb = last.log_bytes / last.events * DAY / 1e9
    models_gb = last.read_models_bytes / last.events * DAY / 1e9
    return {
        "log": f"{log_gb:,.0f} GB",
        "read models": f"{models_gb:,.1f} GB",
        "replay": f"{DAY / last.projection_rate / 60:,.0f} min",
        "projection": f"{DAY / last.projection_rate / 864:.1f} % of the day",
        "appending": f"{DAY / last.append_rate / 864:.1f} % of the day",
    }


def draw(points: list[Point], file: Path) -> None:
    """Draw the curves."""

    def line(name: str, scale: float = 1.0) -> list[float]:
        return [getattr(point, name) * scale for point in points]

    files = {"log": line("log_bytes", 1e-6), "read models": line("read_models_bytes", 1e-6)}
    panels = (
        chart.Panel("append, events/s", {"commits of 64": line("append_rate")}),
        chart.Panel("projection, events/s", {"all read models": line("projection_rate")}),
        chart.Panel("batch of 1,000 events, ms", {"p50": line("batch_ms")}),
        chart.Panel("list_runs by agent, ms", {"p95": line("list_ms")}),
        chart.Panel("usage totals by day, ms", {"p95": line("totals_ms")}),
        chart.Panel("files, MB", files),
    )
    chart.draw([float(point.events) for point in points], panels, file)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m scripts.bench.growth", description=__doc__)
    parser.add_argument("--size", choices=POINTS, default="small")
    parser.add_argument("--upto", type=int, default=10_000_000, help="stop at so many events")
    parser.add_argument("--output", type=Path, default=Path())
    given = parser.parse_args()
    chosen = tuple(point for point in POINTS[given.size] if point <= given.upto)
    bench = Bench(SIZES[given.size])
    points: list[Point] = []
    try:
        here = machine.describe(bench.directory)
        for point in measure(bench, chosen):
            points.append(point)
            print("  ".join(f"{k} {v:,.4g}" for k, v in point._asdict().items()), flush=True)
    finally:
        bench.close()
    growths = {name: round(doubling(points, name), 2) for name in Point._fields[1:]}
    whole = {
        "machine": here,
        "points": [point._asdict() for point in points],
        "when the events double": growths,
        "a day of 100 M events": day(points),
    }
    text = json.dumps(whole, indent=2, ensure_ascii=False) + "\n"
    given.output.mkdir(parents=True, exist_ok=True)
    (given.output / "growth.json").write_text(text, encoding="utf-8")
    draw(points, given.output / "growth.png")
    print(json.dumps({k: v for k, v in whole.items() if k[0] in "wa"}, indent=2))


if __name__ == "__main__":
    main()
