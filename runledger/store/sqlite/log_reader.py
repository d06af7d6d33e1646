"""The log as Arrow, put together by SQLite: no event becomes a Python object."""

import sqlite3
import sys
from array import array
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Any, Final

from runledger.errors import StoreUnavailable
from runledger.store import arrow
from runledger.store.sqlite.driver_errors import too_big, translated
from runledger.store.sqlite.read_only import Reading, open_to_read
from runledger.store.sqlite.recorder import SQL

CHUNK: Final = 8_192
"""Events that SQLite puts together at once; it grows its strings by doubling, so more is slower."""
_NUMBERS: Final = 5
"""Per event, in log_chunk's last column."""


class SQLiteLogReader:
    """Reads the log in order through the interpreter's own SQLite.

    Not through ADBC's driver: that one brings a second copy of SQLite into the process, and two
    copies on one file break each other's POSIX locks (sqlite.org/howtocorrupt.html, 2.2.1).
    """

    def __init__(self, url: str, path: str) -> None:
        self._url = url
        with translated(url):
            self._reading: Reading | None = open_to_read(url, path)

    def read(self, after: int, upto: int, limit: int) -> Any:
        """Return the next events as Arrow that can be read again and again, or None."""
        if self._reading is None:
            raise StoreUnavailable("the log reader is closed")
        with translated(self._url):
            chunks = [_arrow(*found) for found in _chunks(self._reading.db, after, upto, limit)]
        self._reading.expect_as_opened()
        return arrow.chunked(chunks) if chunks else None

    def close(self) -> None:
        """Close the connection."""
        if self._reading is not None:
            self._reading.db.close()
            self._reading = None


def _chunks(
    db: sqlite3.Connection, after: int, upto: int, limit: int
) -> Iterator[tuple[list[Sequence[int]], bytes, bytes, bytes]]:
    """Yield the columns of numbers, and the bytes of all streams, topics and facts, end to end."""
    most = CHUNK
    while limit > 0:
        asked = min(limit, most)
        try:
            *texts, numbers = db.execute(SQL["log_chunk"], (after, upto, asked)).fetchone()
        except sqlite3.DataError as e:
            if not too_big(e) or asked == 1:
                raise
            most = asked // 2
            continue
        if numbers is None:
            return
        columns = _columns(numbers)
        yield columns, *texts
        if len(columns[0]) < asked:
            return
        limit -= asked
        after = columns[0][-1]


def _columns(numbers: str) -> list[Sequence[int]]:
    rows = array("q", bytes.fromhex(numbers))
    if sys.byteorder == "little":
        rows.byteswap()
    return [rows[place::_NUMBERS] for place in range(_NUMBERS)]


def _arrow(columns: Sequence[Sequence[int]], streams: bytes, topics: bytes, facts: bytes) -> Any:
    position, version, of_stream, of_topic, of_facts = columns
    _check_text(of_stream, streams)
    _check_text(of_topic, topics)
    return arrow.chunk(
        position=arrow.int64(position),
        stream=arrow.joined_string(of_stream, streams),
        version=arrow.int64(version),
        topic=arrow.joined_string(of_topic, topics),
        facts=arrow.joined_binary(of_facts, facts),
    )


def _check_text(lengths: Sequence[int], data: bytes) -> None:
    """Refuse what is no UTF-8: SQLite stores any bytes as text, and readers of Arrow trust them."""
    if not data.isascii():
        for begin, end in pairwise(accumulate(lengths, initial=0)):
            data[begin:end].decode()
