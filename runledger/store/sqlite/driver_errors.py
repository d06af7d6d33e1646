"""Errors of SQLite's driver become errors of the ledger."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from runledger.errors import StoreBusy, StoreRefused, StoreUnavailable
from runledger.store.protocol import LOCK_SECONDS

# The driver's words for values that no database takes, not for a database in trouble.
_REFUSED = (
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
    UnicodeError,
)


@contextmanager
def translated(url: str) -> Iterator[None]:
    """Turn the driver's words into ours."""
    try:
        yield
    except _REFUSED as e:
        raise StoreRefused(f"store {url!r}: {e}") from e
    except sqlite3.Error as e:
        if hasattr(e, "sqlite_errorcode") and busy(e):
            raise StoreBusy(url, LOCK_SECONDS) from e
        raise StoreUnavailable(f"store {url!r}: {e}") from e


def busy(error: sqlite3.Error) -> bool:
    """Whether another connection holds the lock (the low byte is the primary result code)."""
    return error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY


def too_big(error: sqlite3.Error) -> bool:
    """Whether a value would be longer than the connection allows (1 GB unless it was built so)."""
    return error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_TOOBIG


def cannot_open(error: sqlite3.Error) -> bool:
    """Whether a file could not be opened or made: the store's own, or one of those beside it."""
    return error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_CANTOPEN
