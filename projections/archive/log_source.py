"""The source of a replay: the archive up to its end, and the store after it."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from projections.archive.archive import Archive
from projections.archive.reader import ArchiveReader
from projections.archive.store import ArchiveStore, checked_log
from projections.archive.writer import expect_same_log
from projections.fold.engine import BATCH_EVENTS, Engine, Progress
from projections.fold.generation import Generation
from runledger.store import Store
from runledger.store.protocol import LogReader


class LogSource(NamedTuple):
    """An archive, with events up to `head`.

    `expect_of` raises ArchiveError if it is not the archive of the store's log.
    """

    name: str
    reader: Callable[[], LogReader]
    head: int
    expect_of: Callable[[Store], None]


def archived_log(folder: str | Path) -> LogSource:
    """Return the log in the archive at `folder`.

    Raises:
        ArchiveError: if the archive cannot be read.
        ArchiveDamaged: if a file of it is missing or altered.
    """
    archive = Archive(folder)
    return LogSource(
        name=f"archive {archive.folder}",
        reader=lambda: ArchiveReader(archive),
        head=archive.head,
        expect_of=lambda store: expect_same_log(store, archive),
    )


def comes_as_columns(store: Store, source: LogSource | None) -> bool:
    """Whether most of the log need not be parsed; see Generation's `bulk`."""
    return source is not None or isinstance(store, ArchiveStore)


def project(
    generation: Generation,
    store: Store,
    source: LogSource | None,
    head: Callable[[], int],
    *,
    batch_events: int = BATCH_EVENTS,
    progress: Progress | None = None,
) -> None:
    """Project the log into a generation up to a position, which may increase meanwhile."""
    if source is not None and generation.position < source.head:
        archived = source.head
        reader = source.reader()
        _read(generation, reader, store, lambda: min(archived, head()), batch_events, progress)
    _read(generation, checked_log(store), store, head, batch_events, progress)


def _read(
    generation: Generation,
    reader: LogReader,
    store: Store,
    head: Callable[[], int],
    batch_events: int,
    progress: Progress | None,
) -> None:
    try:
        engine = Engine(generation, reader, log=store, batch_events=batch_events)
        # New events are recorded meanwhile; each round projects those of the round before.
        while engine.position < (upto := head()):
            before = engine.position
            if engine.catch_up(upto, progress) == before:
                break
    finally:
        reader.close()
