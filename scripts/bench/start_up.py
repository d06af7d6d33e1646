"""How long does the command line take to answer?"""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from scripts.bench.bench import Bench
from scripts.bench.generate import generate
from scripts.bench.row import Figure, Mark, Row

PROGRAM = (sys.executable, "-c", "from runledger.cli.main import main; main()")


def _seconds(*arguments: str | Path, program: tuple[str, ...] = PROGRAM) -> float:
    begin = time.perf_counter()
    subprocess.run([*program, *arguments], check=True, capture_output=True)
    return time.perf_counter() - begin


def rows(bench: Bench) -> Iterator[Row]:
    """Yield the time of --help, and of the first list on a small ledger."""
    url = bench.empty_store("sqlite")
    generate(url, min(bench.size.few_events, 10_000))
    python, helped, first, again = [], [], [], []
    listed = ("--store", url, "--read-models")
    for _ in range(max(1, bench.size.rounds)):
        made = bench.path(".duckdb")
        python.append(_seconds("-c", "pass", program=(sys.executable,)))
        helped.append(_seconds("--help"))
        first.append(_seconds(*listed, made, "runs", "list"))
        again.append(_seconds(*listed, made, "runs", "list"))
    floor = Figure("python -c pass", median(python))
    yield Row("runledger --help", median(helped), "s", limit=floor, mark=Mark("≤", 0.3, "ours"))
    figure = "first `runledger runs list`, a ledger of 10,000 events"
    yield Row(figure, median(first), "s", limit=floor, mark=Mark("≤", 0.6, "ours"))
    yield Row("the same again", median(again), "s", limit=floor)
