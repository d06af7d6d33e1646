"""How fast are all read models made again from the log, and in how much memory?"""

import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import psycopg

from runledger.store.postgres.address import parse
from scripts.bench.bench import Bench, apart, peak_memory, project
from scripts.bench.rounds import alternate
from scripts.bench.row import Figure, Mark, Row

COPY = (
    "COPY (SELECT notification_id, originator_id, originator_version, topic, state"
    " FROM ledger_events WHERE notification_id <= {} ORDER BY notification_id)"
    " TO STDOUT (FORMAT binary)"
)


def replayed(url: str, path: Path, upto: int) -> tuple[float, float]:
    """Return (seconds, peak MiB) of a replay; for a process of its own."""
    begin = time.perf_counter()
    project(url, path, upto)
    seconds = time.perf_counter() - begin
    return seconds, peak_memory()


def copied(url: str, upto: int) -> float:
    """Return the seconds that PostgreSQL takes to send the same rows, and we to drop them."""
    address = parse(url)
    with psycopg.connect(**address.keywords) as db, db.cursor() as cursor:
        cursor.execute(f'SET search_path TO "{address.schema}"'.encode())
        begin = time.perf_counter()
        with cursor.copy(COPY.format(upto).encode()) as copy:
            while copy.read():
                pass
        return time.perf_counter() - begin


def one_by_one(path: Path, events: int) -> float:
    """Return events/s of DuckDB with a transaction per event, as the library's runner projects."""
    with duckdb.connect(str(path)) as db:
        db.execute("CREATE TABLE runs (run_id VARCHAR PRIMARY KEY, steps BIGINT)")
        db.execute("CREATE TABLE tracking (position BIGINT)")
        db.execute("INSERT INTO tracking VALUES (0)")
        begin = time.perf_counter()
        for number in range(events):
            db.execute("BEGIN")
            db.execute(
                "INSERT INTO runs VALUES ($1, 1) ON CONFLICT DO UPDATE SET steps = steps + 1",
                [f"run-{number % 100}"],
            )
            db.execute("UPDATE tracking SET position = $1", [number])
            db.execute("COMMIT")
        return events / (time.perf_counter() - begin)


def rows(bench: Bench) -> Iterator[Row]:
    """Yield rate and memory of a replay beside a raw COPY, and beside one event a transaction."""
    events = bench.size.events
    postgres, sqlite = bench.log("postgresql"), bench.log("sqlite")
    peaks = []

    def replay(url: str) -> float:
        seconds, peak = apart(replayed, url, bench.path(".duckdb"), events)
        peaks.append(peak)
        return events / seconds

    measured = alternate(
        min(3, bench.size.rounds),
        {
            "copy": lambda: events / copied(postgres, events),
            "postgres": lambda: replay(postgres),
            "sqlite": lambda: replay(sqlite),
            "one": lambda: one_by_one(bench.path(".duckdb"), max(20, events // 1000)),
        },
    )
    unit = "events/s"
    copy = Figure("raw binary COPY", measured.median("copy"))
    one = Figure("DuckDB, one event a transaction", measured.median("one"))
    ratio = measured.ratio("postgres", "copy")
    whole = f"replay of all read models, {events:,} events"
    rate = measured.median("postgres")
    yield Row(f"{whole}, PostgreSQL", rate, unit, copy, copy, ratio, Mark("≥", 0.5))
    yield Row(f"{whole}, PostgreSQL", rate, unit, one, copy, measured.ratio("postgres", "one"))
    yield Row(f"{whole}, SQLite", measured.median("sqlite"), unit, one)
    yield Row("peak memory of a replay", max(peaks), "MiB", mark=Mark("≤", 1024, "ours"))
