"""How fast does SQLite take events, and how much of that does the ledger cost?"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from statistics import median
from uuid import uuid4

from runledger.store import open_store
from runledger.store.sqlite.recorder import connect
from scripts.bench import appends, library
from scripts.bench.bench import Bench
from scripts.bench.library import STATE, TOPIC
from scripts.bench.rounds import alternate
from scripts.bench.row import Figure, Mark, Row

SCHEMA = """
CREATE TABLE rows (
    position INTEGER PRIMARY KEY AUTOINCREMENT, stream TEXT NOT NULL, version INTEGER NOT NULL,
    topic TEXT NOT NULL, state BLOB NOT NULL, contents BLOB, UNIQUE (stream, version)
)
"""
INSERT = "INSERT INTO rows (stream, version, topic, state, contents) VALUES (?, ?, ?, ?, NULL)"


def plain_rate(db: sqlite3.Connection, batch: int, seconds: float) -> float:
    """Return rows/s of executemany in transactions of `batch` rows, flushed at each commit."""
    streams = [f"run-{uuid4()}" for _ in range(batch)]
    begin, version = time.perf_counter(), 0
    while time.perf_counter() < begin + seconds:
        version += 1
        db.execute("BEGIN IMMEDIATE")
        db.executemany(INSERT, [(stream, version, TOPIC, STATE) for stream in streams])
        db.execute("COMMIT")
    return version * batch / (time.perf_counter() - begin)


def rows(bench: Bench) -> Iterator[Row]:
    """Yield the rate of 64 tasks beside plain sqlite3 at the batch sizes that occur, and of one."""
    seconds = bench.size.seconds
    url = bench.empty_store("sqlite")
    with (
        library.recorder(str(bench.path(".db")), "peer") as peer,
        closing(connect(str(bench.path(".db")))) as plain,
        closing(connect(str(bench.path(".db")))) as tuned,
        closing(open_store(url)) as store,
    ):
        # SQLite's own default; `tuned` has the setting of the ledger.
        plain.execute("PRAGMA wal_autocheckpoint = 1000")
        for db in (plain, tuned):
            db.execute(SCHEMA)
        sizes: list[int] = []

        def ours(tasks: int) -> float:
            counting = appends.Counting(store)
            rate = appends.append_rate(counting, tasks, seconds)  # type: ignore[arg-type]
            if tasks == 64:
                sizes.append(round(median(counting.sizes)))
            return rate

        measured = alternate(
            bench.size.rounds,
            {
                "64": lambda: ours(64),
                "plain": lambda: plain_rate(plain, sizes[-1], seconds),
                "tuned": lambda: plain_rate(tuned, sizes[-1], seconds),
                "library": lambda: library.append_rate(peer, 8, seconds),
                "1": lambda: ours(1),
                "plain 1": lambda: plain_rate(plain, 1, seconds),
                "commands": lambda: appends.command_rate(url, 64, seconds),
            },
        )
    unit = "events/s"
    same = f"sqlite3, batches of {round(median(sizes))}"
    for figure, side, theirs, name, mark in (
        ("SQLite, 64 tasks, 1 event per append", "64", "plain", same, Mark("≥", 0.8)),
        (
            "SQLite, 64 tasks, 1 event per append",
            "64",
            "tuned",
            f"{same}, wal_autocheckpoint=8000",
            Mark("≥", 0.75),
        ),
        ("SQLite, 64 tasks, 1 event per append", "64", "library", "eventsourcing, 8 threads", None),
        (
            "SQLite, 1 task, 1 event per append",
            "1",
            "plain 1",
            "sqlite3, 1 row a transaction",
            None,
        ),
        ("SQLite, 64 agent loops, a command per event", "commands", "plain", same, None),
    ):
        other = Figure(name, measured.median(theirs))
        ratio = measured.ratio(side, theirs)
        yield Row(figure, measured.median(side), unit, other, None, ratio, mark)
