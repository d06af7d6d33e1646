"""How fast is the log archived, how small does it get, and how fast is it replayed from there?"""

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from projections.archive import Archive
from projections.archive_reader import ArchiveReader
from projections.archive_writer import archive
from projections.engine import Engine
from projections.generation import Generation
from runledger.store import open_store
from scripts.bench.bench import Bench, apart, peak_memory
from scripts.bench.row import Mark, Row


def archived(url: str, folder: Path) -> tuple[int, float]:
    """Return (events, seconds) of archiving a whole log; for a process of its own."""
    with closing(open_store(url, create=False)) as store:
        begin = time.perf_counter()
        done = archive(store, folder)
        return done.events, time.perf_counter() - begin


def replayed(folder: Path, path: Path) -> tuple[float, float]:
    """Return (seconds, peak MiB) of a replay from an archive; for a process of its own."""
    source = Archive(folder)
    with (
        closing(Generation(path, bulk=True)) as generation,
        closing(ArchiveReader(source)) as reader,
    ):
        begin = time.perf_counter()
        reached = Engine(generation, reader).catch_up(source.head)
        seconds = time.perf_counter() - begin
    assert reached == source.head
    return seconds, peak_memory()


def rows(bench: Bench) -> Iterator[Row]:
    """Yield the rates of writing and replaying an archive, and its size."""
    folder = bench.path(".archive")
    events, seconds = apart(archived, bench.log("postgresql"), folder)
    yield Row(f"archiving {events:,} events from PostgreSQL", events / seconds, "events/s")
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    yield Row("archive, facts and contents", size / events, "bytes/event")
    taken = [
        apart(replayed, folder, bench.path(".duckdb")) for _ in range(min(3, bench.size.rounds))
    ]
    fastest, peak = min(taken)
    figure = f"replay of all read models, {events:,} events, archive"
    yield Row(figure, events / fastest, "events/s", mark=Mark("≥", 1.5e6, "ours"))
    yield Row("peak memory of a replay from the archive", peak, "MiB")
