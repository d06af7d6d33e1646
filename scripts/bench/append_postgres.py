"""How fast does PostgreSQL take events, one per append and in batches, and how fast could it?"""

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from runledger.store import open_store
from scripts.bench import appends, library, pgbench
from scripts.bench.bench import Bench
from scripts.bench.rounds import Rounds, alternate
from scripts.bench.row import Figure, Mark, Row

LIBRARY = "eventsourcing, 8 threads"
PROCESSES = 4


def rows(bench: Bench) -> Iterator[Row]:
    """Yield the rates of single appends, of processes and of batches."""
    url, seconds = bench.schema(), bench.size.seconds
    store = open_store(url)
    script = bench.path(".sql")
    with library.recorder(bench.postgres, "peer") as peer:
        try:
            sides: dict[str, Callable[[], float]] = {
                "library": lambda: library.append_rate(peer, 8, seconds),
                "library 1": lambda: library.append_rate(peer, 1, seconds),
                "library 100": lambda: library.append_rate(peer, 1, seconds, 100),
                "1": lambda: appends.append_rate(store, 1, seconds),
                "64": lambda: appends.append_rate(store, 64, seconds),
                "256": lambda: appends.append_rate(store, 256, seconds),
                "batch": lambda: appends.append_rate(store, 1, seconds, 100),
                "commands": lambda: appends.command_rate(url, 64, seconds),
            }
            if pgbench.binary():
                sides["pgbench"] = lambda: pgbench.rate(bench.postgres, script, 32, seconds)
                sides["pgbench 100"] = lambda: pgbench.rate(bench.postgres, script, 1, seconds, 100)
            measured = alternate(bench.size.rounds, sides)
        finally:
            store.close()
    yield from _single(measured)
    yield from _processes(bench, url)


def _beside(measured: Rounds, ours: str, theirs: str, name: str) -> tuple[Figure, float]:
    return Figure(name, measured.median(theirs)), measured.ratio(ours, theirs)


def _single(measured: Rounds) -> Iterator[Row]:
    unit = "events/s"
    one = "1 event per append"

    def row(figure: str, ours: str, theirs: str, name: str, mark: Mark | None = None) -> Row:
        peer, ratio = _beside(measured, ours, theirs, name)
        return Row(figure, measured.median(ours), unit, peer, None, ratio, mark)

    yield row(f"PostgreSQL, 1 task, {one}", "1", "library 1", "eventsourcing, 1 thread")
    yield row(f"PostgreSQL, 64 tasks, {one}", "64", "library", LIBRARY, Mark("≥", 12))
    if "pgbench" in measured.figures:
        name = "pgbench INSERT, 32 clients"
        yield row(f"PostgreSQL, 64 tasks, {one}", "64", "pgbench", name, Mark("≥", 1.2))
        yield row(f"PostgreSQL, 256 tasks, {one}", "256", "pgbench", name, Mark("≥", 1.7))
    yield row("PostgreSQL, 64 agent loops, a command per event", "commands", "library", LIBRARY)
    yield row(
        "PostgreSQL, 1 task, batches of 100",
        "batch",
        "library 100",
        "eventsourcing, batches of 100",
    )
    if "pgbench 100" in measured.figures:
        name = "pgbench, 100 rows a transaction"
        yield row(
            "PostgreSQL, 1 task, batches of 100", "batch", "pgbench 100", name, Mark("≥", 0.5)
        )


def _processes(bench: Bench, url: str) -> Iterator[Row]:
    seconds = bench.size.seconds
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as processes:

        def ours(tasks: int) -> float:
            begun = [
                processes.submit(appends.process_rate, url, tasks, seconds)
                for _ in range(PROCESSES)
            ]
            return sum(future.result() for future in begun)

        def theirs() -> float:
            begun = [
                processes.submit(library.process_rate, bench.postgres, "peer", seconds)
                for _ in range(PROCESSES)
            ]
            return sum(future.result() for future in begun)

        def threads() -> float:
            with library.recorder(bench.postgres, "peer") as peer:
                return library.append_rate(peer, 8, seconds)

        sides: dict[str, Callable[[], float]] = {
            "threads": threads,
            "theirs": theirs,
            "1": lambda: ours(1),
            "16": lambda: ours(16),
        }
        measured = alternate(max(1, bench.size.rounds - 2), sides)
    for tasks, mark in (("1", None), ("16", Mark("≥", 3.5))):
        for side, name in (
            ("theirs", f"eventsourcing, {PROCESSES} processes"),
            ("threads", LIBRARY),
        ):
            peer, ratio = _beside(measured, tasks, side, name)
            figure = f"PostgreSQL, {PROCESSES} processes x {tasks} tasks, 1 event per append"
            yield Row(figure, measured.median(tasks), "events/s", peer, None, ratio, mark)
