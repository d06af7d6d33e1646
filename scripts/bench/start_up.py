"""How long does the command line take to answer?"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from statistics import median
from typing import Final, NamedTuple

from scripts.bench.bench import Bench
from scripts.bench.generate import generate
from scripts.bench.row import Figure, Mark, Row

PROGRAM = (sys.executable, "-c", "from runledger.cli.main import main; main()")
LEDGERS: Final = (1_000, 10_000)
"""Events of small ledgers: a hundred runs, and as many as a developer has after some weeks."""


class Start(NamedTuple):
    """The duration of one start, in seconds."""

    waited: float
    processor: float


class Starts:
    """Starts programs that find their modules compiled, as an installed package has them.

    Not all that develop or test have them: PYTHONDONTWRITEBYTECODE is set in many containers.
    """

    def __init__(self, cache: Path) -> None:
        kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        self._environment = {**kept, "PYTHONPYCACHEPREFIX": str(cache)}

    def measure(self, *arguments: str | Path, program: tuple[str, ...] = PROGRAM) -> Start:
        """Run the program to its end."""
        before, begin = _processor_time(), time.perf_counter()
        command = [*program, *arguments]
        subprocess.run(command, check=True, capture_output=True, env=self._environment)
        return Start(time.perf_counter() - begin, _processor_time() - before)


def _processor_time() -> float:
    used = getrusage(RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def rows(bench: Bench) -> Iterator[Row]:
    """Yield the time of --help, and of the first list on small ledgers."""
    starts = Starts(bench.path(".pyc"))
    rounds = range(max(1, bench.size.rounds))
    floor = [starts.measure("-c", "pass", program=(sys.executable,)) for _ in rounds]
    helped = [starts.measure("--help") for _ in rounds]
    yield from _both("runledger --help", helped, floor, Mark("≤", 0.3, "ours"))
    for events in LEDGERS:
        url = bench.empty_store("sqlite")
        generate(url, min(bench.size.few_events, events))
        listed = ("--store", url, "--read-models")
        starts.measure(*listed, bench.path(".duckdb"), "runs", "list")
        first, again = [], []
        for _ in rounds:
            made = bench.path(".duckdb")
            first.append(starts.measure(*listed, made, "runs", "list"))
            again.append(starts.measure(*listed, made, "runs", "list"))
        name = f"first `runledger runs list`, a ledger of {events:,} events"
        yield from _both(name, first, floor, Mark("≤", 0.6, "ours"))
        yield from _both("the same again", again, floor, None)


def _both(
    figure: str, took: Sequence[Start], floor: Sequence[Start], mark: Mark | None
) -> Iterator[Row]:
    limit = Figure("python -c pass", median(start.waited for start in floor))
    yield Row(figure, median(start.waited for start in took), "s", limit=limit, mark=mark)
    limit = Figure("python -c pass", median(start.processor for start in floor))
    processor = median(start.processor for start in took)
    yield Row(f"{figure}: processor time", processor, "s", limit=limit)
