"""How long does a history take to come in from lines of JSON, and where does the time go?"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path

from runledger import RunLedger
from runledger.importers.event_lines.exporter import export_lines
from runledger.importers.event_lines.importer import EventImport
from runledger.store import open_store
from runledger.store.protocol import Append, Store, Verdict
from scripts.bench.bench import Bench
from scripts.bench.row import Row


class Timed:
    """A store's append that adds up the time it takes."""

    def __init__(self, store: Store) -> None:
        self._append = store.append
        self.seconds = 0.0

    def append(self, appends: Sequence[Append]) -> list[Verdict]:
        """Append, and add up."""
        begin = time.perf_counter()
        try:
            return self._append(appends)
        finally:
            self.seconds += time.perf_counter() - begin


async def imported(url: str, file: Path) -> tuple[float, float, float]:
    """Return seconds: in all, in the store, and of this process's processor."""
    async with RunLedger.open(url) as ledger:
        timed = Timed(ledger.store)
        ledger.store.append = timed.append  # type: ignore[method-assign]
        cpu, begin = time.process_time(), time.perf_counter()
        report = await EventImport(ledger.store, ledger.handler).run([file])
        seconds = time.perf_counter() - begin
        assert not report.refused, report
        return seconds, timed.seconds, time.process_time() - cpu


def rows(bench: Bench) -> Iterator[Row]:
    """Yield events and steps a second, with the shares of the time."""
    file = bench.path(".jsonl")
    with closing(open_store(bench.log("postgresql"), create=False)) as store, file.open("wb") as to:
        begin = time.perf_counter()
        events = steps = 0
        for line in islice(export_lines(store), bench.size.events // 3):
            to.write(line)
            events += 1
            steps += b'"run.step_recorded"' in line
        yield Row(
            f"export of {events:,} events", events / (time.perf_counter() - begin), "events/s"
        )
    for kind, name in (("postgresql", "PostgreSQL"), ("sqlite", "SQLite")):
        seconds, stored, cpu = asyncio.run(imported(bench.empty_store(kind), file))
        note = f"{stored / seconds:.0%} in the store, {cpu / seconds:.0%} of a core"
        figure = f"import of {events:,} events, {name}"
        yield Row(figure, events / seconds, "events/s", note=note)
        yield Row("import of 1 M steps at this rate", 1e6 / (steps / seconds), "s")
