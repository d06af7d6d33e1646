"""A published copy of the read models: a file that never changes, for any number of processes."""

import threading
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import duckdb

from projections.desk import Desk
from projections.durable_file import only_writer, put_in_place
from projections.engine import Progress
from projections.generation import Generation
from projections.queries import Queries
from projections.read_models import ROOT
from runledger.errors import ReadModelsMissing
from runledger.sql_file import statements

SQL: Final = statements(ROOT / "publish.sql")
FILE: Final = "read_models.duckdb"
_T = TypeVar("_T")


class Published(NamedTuple):
    """What was published: the file, the position of its read models, its size in bytes."""

    path: Path
    position: int
    size: int


def publish(desk: Desk, folder: str | Path) -> Published:
    """Put a copy of the live read models at `folder`/read_models.duckdb, in place of the last one.

    Live goes on meanwhile. Whoever has the last copy open keeps it as it was; whoever opens the
    file finds the old one or the new one, whatever is killed when. ReadModelsLocked where another
    process is publishing there.
    """
    target = Path(folder)
    with only_writer(target):
        part, log = target / f".{FILE}.part", target / f".{FILE}.part.wal"
        for left in (part, log):
            left.unlink(missing_ok=True)
        position = desk.copy(part)
        with closing(duckdb.connect(str(part))) as db:
            db.execute(SQL["mark"])
        part.chmod(0o444)
        put_in_place(part, target / FILE)
        return Published(target / FILE, position, (target / FILE).stat().st_size)


class PublishedReadModels:
    """Answers from a published copy, and from the next one as soon as it is there."""

    def __init__(self, folder: str | Path) -> None:
        self.path = Path(folder) / FILE
        self._opening = threading.Lock()
        self._threads = threading.local()
        self._inode, self._generation, self._position = self._open()

    def _open(self) -> tuple[int, Generation, int]:
        try:
            # Before it is opened: a file that takes its place meanwhile is noticed next time.
            inode = self.path.stat().st_ino
        except OSError as e:
            raise ReadModelsMissing(
                f"published read models {str(self.path)!r}: {e.strerror}; run `runledger publish`"
            ) from e
        generation = Generation(self.path, read_only=True)
        return inode, generation, generation.position

    @property
    def position(self) -> int:
        """The last position that the copy has."""
        self._newest()
        return self._position

    def catch_up(self, _progress: Progress | None = None) -> int:
        """Turn to the newest copy; return its position."""
        return self.position

    def ask(self, question: Callable[[Queries], _T]) -> _T:
        """Answer from the newest copy."""
        generation = self._newest()
        known: tuple[Generation, Queries] | None = getattr(self._threads, "known", None)
        if known is None or known[0] is not generation:
            known = self._threads.known = generation, Queries(generation.cursor())
        return question(known[1])

    def _newest(self) -> Generation:
        with self._opening, suppress(FileNotFoundError):
            if self.path.stat().st_ino != self._inode:
                # Not closed here: another thread may be asking it; it goes when nobody does.
                self._inode, self._generation, self._position = self._open()
        return self._generation

    def close(self) -> None:
        """Let go of the file."""
        self._generation.close()
