"""A store's file that cannot be written to from here: on a read-only disk, or somebody else's."""

import os
import sqlite3
from pathlib import Path
from typing import NamedTuple

from runledger.errors import StoreUnavailable
from runledger.store.protocol import LOCK_SECONDS
from runledger.store.sqlite.driver_errors import cannot_open
from runledger.store.sqlite.recorder import SQL, connect


class Reading(NamedTuple):
    """A connection that reads; `as_opened` is the state of a file that is read as it lies there."""

    url: str
    path: str
    db: sqlite3.Connection
    as_opened: tuple[int, int, int] | None

    def expect_as_opened(self) -> None:
        """Raise StoreUnavailable where a file that is read as it lies there has become another."""
        if self.as_opened is not None and _state(self.path) != self.as_opened:
            raise StoreUnavailable(
                f"store {self.url!r}: expected a file that nobody writes, as its folder cannot be "
                f"written to from here; found it altered by another process: open the store again"
            )


def only_read(path: str) -> bool:
    """Whether the file is there, and it or its folder, where the WAL lies, cannot be written to."""
    file = Path(path)
    return file.exists() and not (os.access(file, os.W_OK) and os.access(file.parent, os.W_OK))


def open_to_read(url: str, path: str) -> Reading:
    """Open a connection of a store to read with.

    Where the folder cannot be written to, SQLite reads beside a process that holds the store: their
    WAL is shared. Where none does, all events are in the file, but SQLite asks for a WAL all the
    same, unless it is told that nobody writes. That may become untrue: see
    `Reading.expect_as_opened`.
    """
    if not only_read(path):
        return Reading(url, path, connect(path), None)
    file = Path(path).absolute()
    # Without the log beside it, the file lacks what was recorded last, or is half of a change.
    beside = [log for end in ("-wal", "-journal") if (log := Path(f"{file}{end}")).exists()]
    still = not beside and not os.access(file.parent, os.W_OK)
    state = _state(path) if still else None
    db = sqlite3.connect(
        f"{file.as_uri()}?mode=ro{'&immutable=1' if still else ''}",
        timeout=LOCK_SECONDS,
        isolation_level=None,
        check_same_thread=False,
        uri=True,
    )
    try:
        db.execute(SQL["has_tables"])
    except sqlite3.OperationalError as e:
        db.close()
        if not beside or not cannot_open(e):
            raise
        raise StoreUnavailable(
            f"store {url!r}: expected a folder that can be written to, for SQLite to read "
            f"{beside[0].name}, which holds what was recorded last; found "
            f"{str(file.parent)!r}, which cannot: copy both files to one that can"
        ) from e
    except BaseException:
        db.close()
        raise
    return Reading(url, path, db, state)


def _state(path: str) -> tuple[int, int, int]:
    found = os.stat(path)
    return found.st_ino, found.st_size, found.st_mtime_ns
