"""How long does the command line take to answer?"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from statistics import median
from typing import NamedTuple

from scripts.bench.bench import Bench
from scripts.bench.generate import generate
from scripts.bench.row import Figure, Mark, Row

PROGRAM = (sys.executable, "-c", "from runledger.cli.main import main; main()")


class Start(NamedTuple):
    """What one start took, in seconds."""

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
    """Yield the time of --help, and of the first list on a small ledger."""
    url = bench.empty_store("sqlite")
    generate(url, min(bench.size.few_events, 10_000))
    starts = Starts(bench.path(".pyc"))
    listed = ("--store", url, "--read-models")
    starts.measure(*listed, bench.path(".duckdb"), "runs", "list")
    python, helped, first, again = [], [], [], []
    for _ in range(max(1, bench.size.rounds)):
        made = bench.path(".duckdb")
        python.append(starts.measure("-c", "pass", program=(sys.executable,)))
        helped.append(starts.measure("--help"))
        first.append(starts.measure(*listed, made, "runs", "list"))
        again.append(starts.measure(*listed, made, "runs", "list"))
    name = "first `runledger runs list`, a ledger of 10,000 events"
    for figure, took, mark in (
        ("runledger --help", helped, Mark("≤", 0.3, "ours")),
        (name, first, Mark("≤", 0.6, "ours")),
        ("the same again", again, None),
    ):
        floor = Figure("python -c pass", median(start.waited for start in python))
        yield Row(figure, median(start.waited for start in took), "s", limit=floor, mark=mark)
        floor = Figure("python -c pass", median(start.processor for start in python))
        processor = median(start.processor for start in took)
        yield Row(f"{figure}: processor time", processor, "s", limit=floor)
