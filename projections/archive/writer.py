"""Extends the archive with newer events of the log, in segments that are final once they exist."""

import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import file_digest
from itertools import chain
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import duckdb

from projections.archive.archive import (
    SEGMENT_EVENTS,
    SQL,
    Archive,
    ArchivedFile,
    Segment,
    open_to_write,
)
from projections.archive.reader import parquet
from projections.files.duckdb_connection import connect, draw_no_bar
from projections.files.write_errors import expect_written
from projections.fold import loader
from projections.fold.event_tables import STRANGE, event_tables
from runledger.durable_file import only_writer, put_in_place
from runledger.errors import ArchiveError
from runledger.events import CATALOGUE
from runledger.sql_file import fill, literal, render
from runledger.store import Store, arrow
from runledger.store.checked_rows import expect_undamaged
from runledger.store.log_mark import digest_of, mark_at
from runledger.store.protocol import READS, StoredRow

SEGMENT_BYTES: Final = 512 * 2**20
"""Most bytes of facts and contents in a segment, as recorded; its file is a tenth of that."""
CHUNK_BYTES: Final = 32 * 2**20
CHUNK_EVENTS: Final = 32_768
"""Approximate number of events per read from the store; their size is known only afterwards."""
FIRST_EVENTS: Final = 64
LEASE_SECONDS: Final = 2.0
"""Length of the lease: the wait behind a killed archiver. Only the order of work depends on it; the
lock on the folder is what keeps two archivers out of one archive."""
PATIENCE_SECONDS: Final = LEASE_SECONDS + 1
"""How long an archiver waits for another one, which may have been killed, to free its lease."""
_POLL_SECONDS: Final = 0.2
MEMORY_LIMIT: Final = "512MiB"
UNFINISHED: Final = ".unfinished"
"""The folder for files that are not yet part of the archive."""

_SPILL: Final = "spill"
Progress = Callable[[int, int], None]
"""Called with (events written since the last call, position)."""
_T = TypeVar("_T")


class Archived(NamedTuple):
    """The number of segments and events added, and the last archived position."""

    segments: int
    events: int
    position: int


def archive(
    store: Store,
    folder: str | Path,
    *,
    segment_events: int = SEGMENT_EVENTS,
    progress: Progress | None = None,
) -> Archived:
    """Continue the archive in `folder` up to the end of the log, or begin it.

    If the process is killed at any point, all complete segments remain, and the next call
    continues.

    Raises:
        ArchiveError: if the archive is of another log, if another process is archiving this log, or
            if the archive cannot be written.
        ArchiveDamaged: if a file is missing.
        LogDamaged: if an event is not what was recorded; the segments before it remain.
        ReadModelsLocked: if another process writes into the folder.
        InvalidArgument: if the path cannot be a folder.
    """
    # The store's lock allows one archiver per log; an archiver of another log, or of a copy, has
    # another store.
    with (
        only_writer(Path(folder)),
        _archiving_alone(store) as alone,
        expect_written(Path(folder), ArchiveError),
    ):
        if not alone:
            raise ArchiveError(f"archive {str(folder)!r}: another process is archiving this log")
        target = open_to_write(folder)
        expect_same_log(store, target)
        for path in target.unnamed():  # left by a killed process
            path.unlink()
        before = target.head, len(target.manifest.segments), target.events
        head = store.head()
        with _Scratch(target.folder) as scratch:
            while target.head < head:
                segment = scratch.fill(store, target.head, head, segment_events)
                if segment is None:
                    break
                target.extend(segment)
                if progress is not None:
                    progress(segment.events, segment.last)
        segments = len(target.manifest.segments) - before[1]
        return Archived(segments, target.events - before[2], target.head)


@contextmanager
def _archiving_alone(store: Store) -> Iterator[bool]:
    """Hold the lease of archivers for the block; give False if another process goes on holding it.

    The lease of a killed archiver runs out by itself: it is waited for.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        with store.leadership(READS, LEASE_SECONDS) as alone:
            if alone or time.monotonic() > deadline:
                yield alone
                return
        time.sleep(_POLL_SECONDS)


def expect_same_log(store: Store, target: Archive) -> None:
    """Raise ArchiveError if the archive is of another log, or if the log was reset to an earlier
    state."""
    segments = target.manifest.segments
    if not segments or _ends(store, segments[-1]):
        return
    common = next((part.last for part in reversed(segments) if _ends(store, part)), 0)
    raise ArchiveError(
        f"archive {str(target.folder)!r}: expected its last event at position {target.head} of "
        f"the log, found {'another one' if store.head() >= target.head else 'none'}: it is the "
        f"archive of another log, or a backup was restored; they have the events up to position "
        f"{common:,} in common. Keep it, it may hold what was lost, and archive into another folder"
    )


def _ends(store: Store, segment: Segment) -> bool:
    found = mark_at(store, segment.last)
    return found is not None and found.digest == segment.last_event


class _Scratch:
    """The tables in which a segment is assembled before it is written."""

    def __init__(self, folder: Path) -> None:
        self._target = folder.absolute()
        self._folder = self._target / UNFINISHED
        self._loaded = loader.NOTHING
        self._parts: list[tuple[Path, Path]] = []
        self._db: Any = connect()

    def __enter__(self) -> "_Scratch":
        self._take_away_what_was_left()
        self._folder.mkdir()
        self._db.execute(SQL["spill"], {"folder": str(self._folder / _SPILL)})
        self._db.execute(SQL["memory"], {"limit": MEMORY_LIMIT})
        draw_no_bar(self._db)
        for name in ("one_thread", "by_size"):
            self._db.execute(SQL[name])
        loader.prepare(self._db)
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _take_away_what_was_left(self) -> None:
        """Delete the folder of a killed process; raise ArchiveError for one of another program."""
        if not self._folder.exists():
            return
        # By their names, and not by a mark: an archiver that is killed while it deletes the folder
        # may have deleted the mark first.
        strange = [
            path.name
            for path in self._folder.iterdir()
            if path.name != _SPILL and path.suffix != ".parquet"
        ]
        if strange:
            raise ArchiveError(
                f"{self._folder}: expected none, or what an archiver left, found {min(strange)!r}; "
                f"it was left as it is: move it elsewhere"
            )
        shutil.rmtree(self._folder, ignore_errors=True)

    def _forget(self) -> None:
        for path in chain.from_iterable(self._parts):
            path.unlink()
        self._parts = []

    def fill(self, store: Store, after: int, head: int, most: int) -> Segment | None:
        """Write the next segment; None if the log has no more events."""
        events, first, last = 0, 0, None
        for chunk in _ahead(_chunks(store, after, head, most)):
            self._add(chunk)
            first = first or chunk[0].position
            events, last = events + len(chunk), chunk[-1]
        if last is None:
            return None
        span = f"{first:012d}-{last.position:012d}.parquet"
        segment = Segment(
            after=after,
            last=last.position,
            events=events,
            shape=loader.columns_digest(),
            last_event=digest_of(last),
            columns=self._write(
                fill(SQL["write_columns"], topics=_topics(self._parts)), f"events-{span}"
            ),
            raw=self._write(
                fill(SQL["write_raw"], files=parquet(raw for _, raw in self._parts)),
                f"raw-{span}",
            ),
        )
        self._forget()
        return segment

    def _add(self, chunk: Sequence[StoredRow]) -> None:
        try:
            self._keep(chunk)
        except duckdb.OutOfMemoryException:
            # The memory for parsing depends on the longest of the facts, not on their sum.
            if len(chunk) == 1:
                raise
            self._loaded = loader.NOTHING
            half = len(chunk) // 2
            self._add(chunk[:half])
            self._add(chunk[half:])

    def _keep(self, chunk: Sequence[StoredRow]) -> None:
        position, stream, version, topic, facts, contents = zip(*chunk, strict=True)
        columns = arrow.table(
            position=arrow.int64(position),
            stream=arrow.string(stream),
            version=arrow.int64(version),
            topic=arrow.string(topic),
            facts=arrow.binary(facts),
            contents=arrow.optional_binary(contents),
        )
        self._db.register("log_chunk", columns)
        self._loaded = loader.load(
            self._db, loader.LoggedEvents("log_chunk", len(chunk)), self._loaded
        )
        kept = self._folder / f"events-{len(self._parts)}.parquet"
        raw = self._folder / f"raw-{len(self._parts)}.parquet"
        self._db.execute(fill(SQL["keep_columns"], tables=self._tables()), {"path": str(kept)})
        self._db.execute(SQL["keep_raw"], {"path": str(raw)})
        self._parts.append((kept, raw))
        self._db.unregister("log_chunk")

    def _tables(self) -> str:
        """Return the SQL of all loaded events, with all columns."""
        names = [table.name for table in event_tables().values()]
        if self._loaded.topics - CATALOGUE.keys():
            names.append(STRANGE)
        return f" {SQL['and']} ".join(render(SQL["of_table"], table=name) for name in names)

    def _write(self, statement: str, name: str) -> ArchivedFile:
        part = self._folder / name
        self._db.execute(statement, {"path": str(part)})
        part.chmod(0o444)
        with part.open("rb") as file:
            digest = file_digest(file, "sha256").hexdigest()
        put_in_place(part, self._target / name)
        size = os.stat(self._target / name).st_size
        return ArchivedFile(name=name, size=size, sha256=digest)


def _topics(parts: Sequence[tuple[Path, Path]]) -> str:
    """Return the SQL of the events of all parts, in the order of the segment."""
    files = parquet(columns for columns, _ in parts)
    known = [literal(topic) for topic in event_tables()]
    pieces = [fill(SQL["of_topic"], files=files, topic=topic) for topic in known]
    pieces.append(fill(SQL["strange"], files=files, topics=", ".join(known)))
    return f" {SQL['and']} ".join(pieces)


def _chunks(store: Store, after: int, head: int, most: int) -> Iterator[list[StoredRow]]:
    """Yield the events of the next segment in pieces of CHUNK_BYTES at most, or of one event."""
    events, size, limit = 0, 0, FIRST_EVENTS
    while events < most and size < SEGMENT_BYTES:
        rows = store.read_log(after, min(limit, most - events), contents=True)
        rows = [row for row in rows if row.position <= head]
        if not rows:
            return
        expect_undamaged(store, rows)
        weight = 0
        for piece, of_piece in _pieces(rows):
            yield piece
            weight += of_piece
        events, size, after = events + len(rows), size + weight, rows[-1].position
        fitting = CHUNK_BYTES * len(rows) // max(1, weight)
        limit = max(1, min(4 * limit, fitting, CHUNK_EVENTS))


def _pieces(rows: Sequence[StoredRow]) -> Iterator[tuple[list[StoredRow], int]]:
    """Yield these pieces with their size, because the size of the next events is unknown before."""
    piece: list[StoredRow] = []
    weight = 0
    for row in rows:
        of_row = len(row.facts) + len(row.contents or b"")
        if piece and weight + of_row > CHUNK_BYTES:
            yield piece, weight
            piece, weight = [], 0
        piece.append(row)
        weight += of_row
    yield piece, weight


def _ahead(chunks: Iterator[_T]) -> Iterator[_T]:
    """Yield these pieces; a thread reads the next one in advance."""
    with ThreadPoolExecutor(1, thread_name_prefix="runledger-archive") as pool:
        coming = pool.submit(next, chunks, None)
        while (chunk := coming.result()) is not None:
            coming = pool.submit(next, chunks, None)
            yield chunk
