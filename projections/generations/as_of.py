"""Answers as of a position or a time, from a generation that was projected exactly up to it.

A few such generations are cached. A new one starts from the nearest older one, so that only the
events between are projected; if they are many, the archived ones are read from the archive. Runs
that were deleted later are not in the answers either.
"""

import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Final, TypeVar
from weakref import WeakSet

from projections.archive.archive import Archive
from projections.archive.reader import ArchiveReader
from projections.archive.store import checked_log
from projections.archive.writer import expect_same_log
from projections.fold.batch import events_digest
from projections.fold.engine import Engine
from projections.fold.generation import Generation
from projections.fold.layouts import LAYOUT
from projections.fold.log_identity import LogIdentity
from projections.generations.generations import Generations
from projections.generations.interruptible_gate import Gate
from projections.queries.queries import Queries
from projections.read_models.catalog import discover
from projections.read_models.read_model import ReadModel
from runledger.durable_file import sweep, unfinished
from runledger.errors import InvalidArgument, ReadModelsDiverged, ReadModelsError
from runledger.store import Store
from runledger.store.event_list import END_OF_LOG, EventList, LogEvent
from runledger.store.protocol import LogReader
from runledger.utc import as_utc

KEPT: Final = 6
"""Generations in the cache."""
SEARCH_PAGE_MAX: Final = 1_000
"""Page size of the search for an event that has a time."""
NEAR_EVENTS: Final = 25_000
"""Below this many events, reading from the store is faster than verifying the archive's files."""

AsOfMoment = int | datetime
"""A position of the log, or a time, which includes all events recorded until then."""

_T = TypeVar("_T")


def position_of(store: Store, moment: AsOfMoment) -> int:
    """Return the position that a moment means.

    A time means the last event that was recorded at that time or before (`recorded_at`). An event
    without this time counts as recorded with the next event that has one.

    Raises:
        InvalidArgument: if a time has no zone, or if a position is beyond the end of the log.
    """
    head = store.head()
    if isinstance(moment, datetime):
        if moment.utcoffset() is None:
            raise InvalidArgument(f"as_of: expected a time with a zone, found {moment.isoformat()}")
        return _last_recorded(store, as_utc(moment), head)
    if type(moment) is not int or not 0 <= moment <= head:
        raise InvalidArgument(f"as_of: expected a position from 0 to {head}, found {moment!r}")
    return moment


def _last_recorded(store: Store, moment: datetime, head: int) -> int:
    known, open_end = 0, head
    while known < open_end:
        middle = (known + open_end + 1) // 2
        found = _next_recorded(store, middle, open_end)
        if found is not None and found[1] <= moment:
            known = found[0]
        else:
            open_end = middle - 1
    return known


def _next_recorded(store: Store, first: int, last: int) -> tuple[int, datetime] | None:
    """Return position and time of the first event in a span that has a recording time."""
    after, limit = first - 1, 1
    while rows := store.read_log(after, limit, upto=last):
        for row in rows:
            if (recorded_at := _recorded_at(row.facts)) is not None:
                return row.position, recorded_at
        after, limit = rows[-1].position, min(2 * limit, SEARCH_PAGE_MAX)
    return None


def _recorded_at(facts: bytes) -> datetime | None:
    # An unreadable event is parked when it is projected; it must not fail a search for another one.
    try:
        found = datetime.fromisoformat(json.loads(facts)["recorded_at"])
    except (KeyError, TypeError, ValueError, RecursionError):
        return None
    return None if found.tzinfo is None else found


class AsOf:
    """Answers from the past for one store; it never needs the live file.

    `archive` is the folder of an archive of the log.

    Raises:
        ArchiveError: if the archive is needed and cannot be read, or is of another log.
    """

    def __init__(self, store: Store, path: str | Path, archive: str | Path | None = None) -> None:
        self._store = store
        self._archive = archive
        self._generations = Generations(path)
        self._folder = self._generations.folder / "as_of"
        self._building = threading.Lock()
        self._gate = Gate()
        self._asked: WeakSet[Generation] = WeakSet()
        self._closed = False

    def ask(self, question: Callable[[Queries], _T], moment: AsOfMoment) -> _T:
        """Answer as of a moment, by the current SQL."""
        position = position_of(self._store, moment)
        with self._gate.open():
            with self._building:
                generation = self._opened(position)
            with closing(generation):
                self._asked.add(generation)
                try:
                    return question(Queries(generation.cursor()))
                except Exception:
                    self._expect_open()
                    raise

    def copy(self, file: Path, moment: AsOfMoment) -> int:
        """Write the read models as of a moment into a file; return their position."""
        position = position_of(self._store, moment)
        with self._gate.open(), self._building, closing(self._opened(position)) as generation:
            shutil.copyfile(generation.path, file)
        return position

    def close(self) -> None:
        """Interrupt running queries and raise ReadModelsError for new ones."""
        self._closed = True
        with self._gate.exclusive(self._interrupt):
            self._asked.clear()

    def _interrupt(self) -> None:
        for generation in list(self._asked):
            generation.interrupt()

    def _expect_open(self, *_: int) -> None:
        if self._closed:
            raise ReadModelsError(
                f"read models {str(self._generations.path)!r}: closed while a question as of a "
                f"moment was being answered"
            )

    def _opened(self, position: int) -> Generation:
        """Open the generation of a position; build it again if it was made from another log."""
        self._expect_open()
        generation = Generation(self._file(position), read_only=True)
        try:
            LogIdentity(generation.path, generation.cursor).expect(self._store)
        except ReadModelsDiverged:
            generation.close()
            for file in self._folder.glob(f"{position:012d}-*"):
                file.unlink(missing_ok=True)
            return Generation(self._file(position), read_only=True)
        except BaseException:
            generation.close()
            raise
        return generation

    def _file(self, position: int) -> Path:
        models = discover()
        try:
            sweep(self._folder, ".*.part*")
            file = self._made(position, models)
            if deletions := self._deletions(position):
                file = self._without(file, deletions)
            self._forget_oldest()
        except OSError as e:
            raise ReadModelsError(
                f"read models {str(self._generations.path)!r}: expected room beside them to make "
                f"those of a moment in, found {e.strerror or e} at {str(self._folder)!r}"
            ) from e
        return file

    def _made(self, position: int, models: tuple[ReadModel, ...]) -> Path:
        """Return the file of a generation at a position; build it if it does not exist."""
        digest = _digest(models)
        file = self._folder / f"{position:012d}-{digest}.duckdb"
        with self._unless_there(file) as part:
            if part is not None:
                self._begin(part, position, models, digest)
                bulk = self._archive is not None
                with closing(Generation(part, models, bulk=bulk)) as generation:
                    self._project_archived(generation, position)
                    with closing(checked_log(self._store)) as reader:
                        self._engine(generation, reader).catch_up(position, self._expect_open)
        return file

    def _project_archived(self, generation: Generation, position: int) -> None:
        """Project the archived events up to a position, unless there are only a few."""
        begin = generation.position
        if self._archive is None or position - begin <= NEAR_EVENTS:
            return
        archive = Archive(self._archive)
        upto = min(archive.head, position)
        if upto - begin > NEAR_EVENTS:
            expect_same_log(self._store, archive)
            with closing(ArchiveReader(archive)) as reader:
                self._engine(generation, reader).catch_up(upto, self._expect_open)

    def _engine(self, generation: Generation, reader: LogReader) -> Engine:
        return Engine(generation, reader, log=self._store)

    def _without(self, file: Path, deletions: EventList) -> Path:
        """Return the file of the same generation without the runs that were deleted later."""
        last = deletions.events[-1].position
        pruned = file.with_suffix(f".{last}.pruned")
        with self._unless_there(pruned) as part:
            if part is not None:
                shutil.copyfile(file, part)
                with closing(Generation(part)) as generation:
                    Engine(generation, deletions).catch_up(last)
        return pruned

    def _deletions(self, position: int) -> EventList | None:
        rows = self._store.read_log(position, END_OF_LOG, ("run.deleted",))
        return EventList(LogEvent(*row[:5]) for row in rows) if rows else None

    @contextmanager
    def _unless_there(self, file: Path) -> Iterator[Path | None]:
        """Yield a path to build at, which is renamed after the block; None if the file exists."""
        if not file.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            with unfinished(file) as part:
                yield part
        else:
            yield None
        with suppress(OSError):  # A read-only disk cannot evict either.
            os.utime(file)

    def _begin(self, file: Path, position: int, models: tuple[ReadModel, ...], digest: str) -> None:
        """Copy the nearest older generation that was made by the same SQL, if there is one."""
        for _, older in sorted(self._older(position, models, digest), reverse=True):
            # Locked while it is copied, so that no other process writes to it.
            with (
                suppress(ReadModelsError, OSError),
                closing(Generation(older, read_only=True)) as held,
            ):
                LogIdentity(held.path, held.cursor).expect(self._store)
                if not Path(f"{older}.wal").exists():
                    shutil.copyfile(older, file)
                    return

    def _older(
        self, position: int, models: tuple[ReadModel, ...], digest: str
    ) -> Iterator[tuple[int, Path]]:
        for file in self._folder.glob(f"*-{digest}.duckdb"):
            at = int(file.name.partition("-")[0])
            if at <= position:
                yield at, file
        wanted = {model.name: model.digest for model in models}
        for entry in self._generations.entries():
            at_rest = entry.state in ("kept", "candidate") and not entry.partial
            same = entry.models == wanted and entry.events_digest == events_digest()
            if at_rest and same and entry.position <= position:
                yield entry.position, self._generations.file(entry.number)

    def _forget_oldest(self) -> None:
        with suppress(FileNotFoundError):  # Another process evicts too.
            files = [*self._folder.glob("*.duckdb"), *self._folder.glob("*.pruned")]
            for file in sorted(files, key=lambda file: file.stat().st_mtime)[:-KEPT]:
                file.unlink(missing_ok=True)


def _digest(models: tuple[ReadModel, ...]) -> str:
    """Return a digest of layout, SQL and event shapes, which distinguishes generations at one
    position."""
    joined = f"{LAYOUT}" + "".join(model.name + model.digest for model in models) + events_digest()
    return sha256(joined.encode()).hexdigest()[:16]
