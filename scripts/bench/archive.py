"""How fast is the log archived, how small does it get, and how fast is it replayed from there?"""

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from projections.archive.archive import Archive
from projections.archive.reader import ArchiveReader
from projections.archive.writer import archive
from projections.compare.diff import Diff
from projections.fold.engine import Engine
from projections.fold.generation import Generation
from projections.generations.snapshot import Snapshot
from projections.read_models.catalog import discover, needed
from runledger.store import open_store
from scripts.bench.bench import Bench, apart, peak_memory, project
from scripts.bench.row import Figure, Mark, Row


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


def copied(path: Path, copy: Path) -> float:
    """Return the seconds that DuckDB takes to write the same rows, nothing folded; apart, too."""
    with (
        closing(Generation(path, bulk=True)) as generation,
        closing(Snapshot(generation)) as snapshot,
    ):
        begin = time.perf_counter()
        snapshot.copy_to(copy)
        return time.perf_counter() - begin


def same(path: Path, other: Path) -> float:
    """Return how many of a hundred rows two generations have in common."""
    with (
        closing(Generation(path, read_only=True)) as generation,
        closing(Snapshot(generation)) as snapshot,
    ):
        snapshot.attach(other)
        tables = Diff(snapshot.db, 1).tables(generation.models, generation.models)
    found = sum(max(table.rows_old, table.rows_new) for table in tables)
    return 100 * (1 - sum(table.differing for table in tables) / found)


def rows(bench: Bench) -> Iterator[Row]:
    """Yield the rates of writing and replaying an archive, and its size."""
    folder = bench.path(".archive")
    events, seconds = apart(archived, bench.log("postgresql"), folder)
    yield Row(f"archiving {events:,} events from PostgreSQL", events / seconds, "events/s")
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    yield Row("archive, facts and contents", size / events, "bytes/event")

    def best(models: Sequence[str], made: Path) -> tuple[float, float]:
        tries = [made, *(bench.path(".duckdb") for _ in range(min(3, bench.size.rounds) - 1))]
        seconds, peak = min(apart(replayed, folder, path, models) for path in tries)
        return events / seconds, peak

    made, again = bench.path(".duckdb"), bench.path(".duckdb")
    rate, peak = best([model.name for model in discover()], made)
    seconds = min(apart(copied, made, bench.path(".duckdb")) for _ in range(3))
    limit = Figure("DuckDB copying the rows made", events / seconds)
    figure = f"replay of all read models, {events:,} events, archive"
    mark = Mark("≥", 1.5e6, "ours")
    yield Row(figure, rate, "events/s", limit=limit, ratio=rate / limit.value, mark=mark)
    yield Row("peak memory of a replay from the archive", peak, "MiB")
    apart(project, bench.log("postgresql"), again, Archive(folder).head)
    figure = "rows the same as replayed from PostgreSQL"
    yield Row(figure, apart(same, again, made), "%", mark=Mark("≥", 100, "ours"))
    # What `replay --changed` does when only the way of counting tokens was mended.
    rate, _ = best(["usage_totals"], bench.path(".duckdb"))
    yield Row(f"replay of usage totals alone, {events:,} events, archive", rate, "events/s")
