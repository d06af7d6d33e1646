"""A published copy of the read models: a file that never changes, for any number of processes."""

import shutil
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import duckdb

from projections.archive.store import ArchiveStore
from projections.files.duckdb_connection import connect, draw_no_bar
from projections.files.write_errors import expect_written
from projections.files.writer_lock import expect_free
from projections.fold.engine import Progress
from projections.fold.generation import MEMORY_LIMIT
from projections.fold.generation import SQL as GENERATION
from projections.fold.layouts import LAYOUT
from projections.fold.log_identity import LogIdentity
from projections.queries.queries import Queries
from runledger.durable_file import only_writer, put_in_place
from runledger.errors import InvalidArgument, ReadModelsError, ReadModelsMissing
from runledger.sql_file import statements
from runledger.store import Store

SQL: Final = statements(Path(__file__).with_name("publish.sql"))
FILE: Final = "read_models.duckdb"
_PUBLISH: Final = (
    "`runledger replay --switch` makes others from the log as it is, and `runledger publish` puts "
    "a copy of them there"
)
_T = TypeVar("_T")


class Published(NamedTuple):
    """The published file, the position of its read models, and its size in bytes."""

    path: Path
    position: int
    size: int


def publish(copy: Callable[[Path], int], folder: str | Path) -> Published:
    """Put a copy of the live read models at `folder`/read_models.duckdb, in place of the last one.

    Projecting goes on meanwhile. A process that has the last copy open keeps reading it unchanged.
    A process that opens the file gets the old copy or the new one, even if a process is killed.

    Raises:
        ReadModelsLocked: if another process is publishing there.
        InvalidArgument: if the file exists and is not a published copy.
        ReadModelsError: if the copy cannot be written.
    """
    target = Path(folder)
    part, log = target / f".{FILE}.part", target / f".{FILE}.part.wal"
    with only_writer(target), expect_written(target, ReadModelsError):
        _expect_copy(target / FILE)
        _remove(part, log)
        try:
            position = copy(part)
            db: Any
            with closing(connect(part)) as db:
                db.execute(SQL["mark"])
            part.chmod(0o444)
            put_in_place(part, target / FILE)
        finally:
            _remove(part, log)
        return Published(target / FILE, position, (target / FILE).stat().st_size)


def _expect_copy(file: Path) -> None:
    """Refuse to replace a file that is not a copy, such as live read models or another database."""
    expect_free(file)
    if not file.exists():
        return
    found = "something else"
    if file.is_file():
        try:
            db: Any
            with closing(connect()) as db:
                db.execute(SQL["attach"], {"path": str(file)})
                db.execute(SQL["use"])
                ((published,),) = db.execute(GENERATION["is_published"]).fetchall()
            if published:
                return
        except duckdb.Error as e:
            found = str(e).partition("\n")[0]
    raise InvalidArgument(
        f"publish: {str(file)!r}: expected no file or an earlier published copy, found {found}"
    )


def _remove(*files: Path) -> None:
    for file in files:
        file.unlink(missing_ok=True)


class _Copy:
    """An open copy; it is closed when no thread uses it any more."""

    def __init__(self, path: Path) -> None:
        # Read before the file is opened: a replacement meanwhile is detected the next time.
        self.inode = path.stat().st_ino
        self._db: Any = connect(memory_limit=MEMORY_LIMIT)
        try:
            self._db.execute(SQL["attach"], {"path": str(path)})
            db = self.cursor()
            ((layout,),) = db.execute(GENERATION["layout"]).fetchall()
            if layout > LAYOUT:
                raise ReadModelsError(
                    f"published read models {str(path)!r}: expected layout {LAYOUT} or older, "
                    f"found {layout}; they were made by a newer version of runledger"
                )
            ((position,),) = db.execute(GENERATION["position"]).fetchall()
            self.position = int(position)
            self.identity = LogIdentity(path, self.cursor, _PUBLISH)
        except duckdb.Error as e:
            raise ReadModelsError(
                f"published read models {str(path)!r}: {str(e).partition(chr(10))[0]}"
            ) from e

    def cursor(self) -> Any:
        """Return a connection for one thread."""
        cursor = self._db.cursor()
        cursor.execute(SQL["use"])
        cursor.execute(GENERATION["settings"])
        draw_no_bar(cursor)
        return cursor

    def close(self) -> None:
        """Close the file."""
        self._db.close()


class PublishedReadModels:
    """Answers from a published copy, and from the next one as soon as it is published."""

    follows: Final = False

    def __init__(self, folder: str | Path, log: Store | None = None) -> None:
        self.path = Path(folder) / FILE
        self._log = log
        self._opening = threading.Lock()
        self._threads = threading.local()
        try:
            self._copy = _Copy(self.path)
        except OSError as e:
            raise ReadModelsMissing(
                f"published read models {str(self.path)!r}: {e.strerror}; run `runledger publish`"
            ) from e

    @property
    def position(self) -> int:
        """The last position that the newest copy has."""
        return self._newest().position

    def catch_up(self, _progress: Progress | None = None) -> int:
        """Raise ReadModelsError: a copy cannot be projected further."""
        raise ReadModelsError(
            f"published read models {str(self.path)!r}: expected those that follow the log, found "
            f"a copy as of position {self.position}; `runledger publish` puts the next one there"
        )

    def copy(self, file: Path) -> int:
        """Write the newest copy into a new file; return its position.

        Raises:
            ReadModelsError: if the copy cannot be read or written.
        """
        with expect_written(file, ReadModelsError):
            shutil.copyfile(self.path, file)
        # The position of the copied file: another file may be at the path by now.
        with closing(_Copy(file)) as copied:
            return copied.position

    def ask(self, question: Callable[[Queries], _T]) -> _T:
        """Answer from the newest copy.

        Raises:
            ReadModelsDiverged: if the copy was made from another log than the store's.
        """
        copy = self._newest()
        self._expect_of_log(copy)
        known: tuple[_Copy, Queries] | None = getattr(self._threads, "known", None)
        if known is None or known[0] is not copy:
            known = self._threads.known = copy, Queries(copy.cursor())
        return question(known[1])

    def _expect_of_log(self, copy: _Copy) -> None:
        # An archive ends earlier than its log.
        ends_earlier = isinstance(self._log, ArchiveStore) and copy.position > self._log.head()
        if self._log is not None and not ends_earlier:
            copy.identity.expect(self._log)

    def _newest(self) -> _Copy:
        with self._opening, suppress(FileNotFoundError):
            if self.path.stat().st_ino != self._copy.inode:
                # The old copy is not closed: another thread may be using it.
                self._copy = _Copy(self.path)
        return self._copy

    def close(self) -> None:
        """Close the file."""
        self._copy.close()
