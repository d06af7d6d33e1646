"""How fast is the log archived, how small does it get, and how fast is it replayed from there?"""

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from projections.archive import Archive
from projections.archive_reader import ArchiveReader
from projections.archive_writer import archive
from projections.engine import Engine
from projections.generation import Generation
from projections.read_models import discover, needed
from runledger.store import open_store
from scripts.bench.bench import Bench, apart, peak_memory
from scripts.bench.row import Mark, Row


def archived(url: str, folder: Path) -> tuple[int, float]:
    """Return (events, seconds) of archiving a whole log; for a process of its own."""
    with closing(open_store(url, create=False)) as store:
        begin = time.perf_counter()
        done = archive(store, folder)
        return done.events, time.perf_counter() - begin


def replayed(folder: Path, path: Path, models: Sequence[str]) -> tuple[float, float]:
    """Return (seconds, peak MiB) of a replay of some read models; for a process of its own."""
    begin = time.perf_counter()
    source = Archive(folder)
    with (
        closing(Generation(path, needed(models, discover()), bulk=True)) as generation,
        closing(ArchiveReader(source)) as reader,
    ):
        reached = Engine(generation, reader).catch_up(source.head)
    assert reached == source.head
    return time.perf_counter() - begin, peak_memory()


def rows(bench: Bench) -> Iterator[Row]:
    """Yield the rates of writing and replaying an archive, and its size."""
    folder = bench.path(".archive")
    events, seconds = apart(archived, bench.log("postgresql"), folder)
    yield Row(f"archiving {events:,} events from PostgreSQL", events / seconds, "events/s")
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    yield Row("archive, facts and contents", size / events, "bytes/event")

    def best(models: Sequence[str]) -> tuple[float, float]:
        rounds = range(min(3, bench.size.rounds))
        seconds, peak = min(apart(replayed, folder, bench.path(".duckdb"), models) for _ in rounds)
        return events / seconds, peak

    rate, peak = best([model.name for model in discover()])
    figure = f"replay of all read models, {events:,} events, archive"
    yield Row(figure, rate, "events/s", mark=Mark("≥", 1.5e6, "ours"))
    yield Row("peak memory of a replay from the archive", peak, "MiB")
    # What `replay --changed` does when only the way of counting tokens was mended.
    rate, _ = best(["usage_totals"])
    yield Row(f"replay of usage totals alone, {events:,} events, archive", rate, "events/s")
