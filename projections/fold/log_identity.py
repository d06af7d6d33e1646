"""The identity of the log that a generation was made from: marks by which it is recognized."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from projections.fold.file_errors import expect_readable
from projections.fold.generation import SQL as GENERATION
from projections.fold.loader import ArchivedEvents, Source
from runledger.errors import ReadModelsDiverged
from runledger.sql_file import fill, statements
from runledger.store import Store
from runledger.store.log_mark import LogMark, last_common, mark_at, mark_of
from runledger.store.protocol import StoredRow

SQL: Final = statements(Path(__file__).with_name("log_identity.sql"))
EACH: Final = 4_096
"""Positions between the marks of a long batch."""
REPLAY: Final = (
    "`runledger replay --switch` makes others from the log as it is, or name the store that they "
    "were made from"
)
MOST: Final = 512
"""Most marks that are kept; of more, those that are close together far behind the checkpoint are
deleted."""


class LogIdentity:
    """The marks of an open file; `add` and `keep` are for the thread that projects into it.

    They are written in the transaction of the rows, so they identify the events that the rows were
    made from. Positions alone do not: a restored log grows past the checkpoint with other events.
    `cursor` opens a connection to the file at `path`, `remedy` is what to do about another log.
    """

    def __init__(self, path: Path, cursor: Callable[[], Any], remedy: str = REPLAY) -> None:
        self._path, self._cursor, self._remedy = path, cursor, remedy
        marks = self._marks()
        self._count = len(marks)
        self._newest: LogMark | None = marks[0] if marks else None
        self._added: list[LogMark] = []

    def _marks(self) -> list[LogMark]:
        with expect_readable(self._path), closing(self._cursor()) as db:
            ((there,),) = db.execute(GENERATION["has_marks"]).fetchall()
            if not there:
                return []
            found = db.execute(SQL["marks"]).fetchall()
        return [LogMark(position, id or "", digest or "") for position, id, digest in found]

    def expect(self, log: Store) -> None:
        """Raise ReadModelsDiverged unless the log has the event at the checkpoint."""
        newest = self._newest
        if newest is not None and not newest.digest:
            # The rows were made by an older version, which stored only the position.
            newest = self._newest = mark_at(log, newest.position) or newest
        if newest is None or newest.is_at(log):
            return
        marks = [mark for mark in self._marks() if mark.digest]
        raise ReadModelsDiverged.found(
            f"read models {str(self._path)!r}",
            last_common(log, marks),
            f"they have events up to {newest.position:,} and nothing is answered from them; "
            f"{self._remedy}",
        )

    def add(self, db: Any, source: Source, last: int) -> None:
        """Mark events of a batch, the last one among them; inside the transaction of the rows."""
        if isinstance(source, ArchivedEvents):
            statement = fill(SQL["last_of_batch"], events=source.facts())
            found = db.execute(statement, {"last": last})
        else:
            statement = fill(SQL["of_batch"], events=source.table)
            found = db.execute(statement, {"last": last, "each": EACH})
        self._added = [mark_of(StoredRow(*row)) for row in found.fetchall()]
        db.execute(
            SQL["add"],
            {
                "positions": [mark.position for mark in self._added],
                "event_ids": [mark.event_id for mark in self._added],
                "digests": [mark.digest for mark in self._added],
            },
        )
        if self._count + len(self._added) > MOST:
            db.execute(SQL["thin"], {"last": last})

    def keep(self) -> None:
        """Use the marks that were added, once their transaction is committed."""
        if self._added:
            self._count += len(self._added)
            self._newest, self._added = self._added[-1], []
            if self._count > MOST:
                self._count = len(self._marks())
