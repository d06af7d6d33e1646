"""How much do checksums of the log and the check of its identity cost writers and replays?"""

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from projections.fold.engine import Engine
from projections.fold.generation import Generation
from runledger.store import open_store
from runledger.store.checked_reader import CheckedLogReader
from runledger.store.keeper import Keeper, keep
from scripts.bench import appends
from scripts.bench.bench import Bench, apart
from scripts.bench.rounds import Rounds, alternate
from scripts.bench.row import Figure, Mark, Row

TASKS = 64
WINDOWS = 4
"""A measurement of appends lasts so many windows: the keeper works once a second."""


def append_rate(url: str, seconds: float, *, kept: bool) -> float:
    """Return events/s of 64 tasks, with or without a keeper in their process."""
    with closing(open_store(url)) as store:
        keeper = Keeper(store) if kept else None
        try:
            return appends.append_rate(store, TASKS, seconds)
        finally:
            if keeper is not None:
                keeper.close()


def replay_seconds(url: str, path: Path, upto: int, checked: bool) -> float:
    """Return the seconds of a replay, with or without checks; for a process of its own."""
    with closing(open_store(url, create=False)) as store, closing(Generation(path)) as generation:
        reader = CheckedLogReader(store) if checked else store.log_reader()
        with closing(reader):
            begin = time.perf_counter()
            Engine(generation, reader, log=store if checked else None).catch_up(upto)
            return time.perf_counter() - begin


def measured(bench: Bench, kind: str) -> Rounds:
    """Return the rates of appends and replays on one kind of store, with and without."""
    url, log = bench.empty_store(kind), bench.log(kind)
    seconds, events = WINDOWS * bench.size.seconds, bench.size.events
    with closing(open_store(log, create=False)) as store:
        while store.tiles_end().last < store.head():
            keep(store, store.head(), rest=True)

    def replay_rate(checked: bool) -> float:
        return events / apart(replay_seconds, log, bench.path(".duckdb"), events, checked)

    return alternate(
        min(3, bench.size.rounds),
        {
            "without a keeper": lambda: append_rate(url, seconds, kept=False),
            "with a keeper": lambda: append_rate(url, seconds, kept=True),
            "without checks": lambda: replay_rate(False),
            "with checks": lambda: replay_rate(True),
        },
    )


def rows(bench: Bench) -> Iterator[Row]:
    """Yield appends beside those without a keeper, and replays beside those without checks."""
    for kind, name in (("sqlite", "SQLite"), ("postgresql", "PostgreSQL")):
        found = measured(bench, kind)
        for figure, side, other, mark in (
            (f"{TASKS} tasks, tiles kept", "with a keeper", "without a keeper", 0.98),
            ("replay, tiles and identity checked", "with checks", "without checks", 0.96),
        ):
            yield Row(
                f"{name}, {figure}",
                found.median(side),
                "events/s",
                Figure(other, found.median(other)),
                ratio=found.ratio(side, other),
                mark=Mark("≥", mark),
            )
