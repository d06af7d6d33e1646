"""The log as Arrow, by COPY through ADBC: no event becomes a Python object."""

import weakref
from collections.abc import Mapping
from typing import Any

import nanoarrow as na
from adbc_driver_postgresql import dbapi as adbc

from runledger.errors import StoreUnavailable
from runledger.store import arrow


class PostgresLogReader:
    """Reads the log in order; a read that finds its connection cut is repeated on another."""

    def __init__(self, url: str, dsn: str, sql: Mapping[str, bytes]) -> None:
        self._url, self._dsn = url, dsn
        self._range_sql, self._batch_sql = sql["log_range"].decode(), sql["log_batch"].decode()
        self._closed = False
        try:
            self._open()
        except adbc.Error as e:
            raise _unavailable(url, e) from e

    def _open(self) -> None:
        db = adbc.connect(self._dsn, autocommit=True)
        # Two cursors: a statement that once had bound values would bind them again.
        self._range, self._batch = db.cursor(), db.cursor()
        # In this order, and also where nobody closes the reader: a connection refuses to close
        # before its cursors.
        self._release = weakref.finalize(self, _close, self._range, self._batch, db)

    def read(self, after: int, upto: int, limit: int) -> Any:
        """Return the next events as an Arrow stream that is consumed once, or None.

        The stream of an earlier read ends with the next one.
        """
        if self._closed:
            raise StoreUnavailable("the log reader is closed")
        try:
            return self._read(after, upto, limit)
        except adbc.Error:
            self._release()
        try:
            self._open()
            return self._read(after, upto, limit)
        except adbc.Error as e:
            self._release()
            raise _unavailable(self._url, e) from e

    def _read(self, after: int, upto: int, limit: int) -> Any:
        bounds = {
            name: arrow.string([str(n)])
            for name, n in zip("123", (after, upto, limit), strict=True)
        }
        self._range.execute(self._range_sql, arrow.table(**bounds))
        if not na.Array(self._range.fetch_arrow()).child(3)[0].as_py():
            return None
        self._batch.execute(self._batch_sql)
        return self._batch.fetch_arrow()

    def close(self) -> None:
        """Close the connection."""
        self._closed = True
        self._release()


def _unavailable(url: str, error: adbc.Error) -> StoreUnavailable:
    words = str(error).partition("Query was:")[0].split()
    return StoreUnavailable(f"store {url!r}: {' '.join(words)}")


def _close(*handles: Any) -> None:
    for handle in handles:
        handle.close()
