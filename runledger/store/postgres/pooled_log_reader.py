"""The log as Arrow through a pooler: by single statements, each of which any session can answer."""

from collections.abc import Callable, Sequence
from typing import Any

from runledger.errors import StoreUnavailable
from runledger.store import arrow
from runledger.store.protocol import StoredRow

Read = Callable[[int, int, int], Sequence[StoredRow]]
"""Gives the events with after < position <= upto, so many at most."""


class PooledLogReader:
    """Reads the log in order through the store's own connections.

    Not by COPY: it takes no parameters, and what a session was told of them would be asked of
    another one; and the ADBC driver prepares its statements, which belong to a session too.
    """

    def __init__(self, read: Read) -> None:
        self._read = read
        self._closed = False

    def read(self, after: int, upto: int, limit: int) -> Any:
        """Return the next events as Arrow that can be read again and again, or None."""
        if self._closed:
            raise StoreUnavailable("the log reader is closed")
        rows = self._read(after, upto, limit)
        if not rows:
            return None
        position, stream, version, topic, facts, _ = zip(*rows, strict=True)
        return arrow.table(
            position=arrow.int64(position),
            stream=arrow.string(stream),
            version=arrow.int64(version),
            topic=arrow.string(topic),
            facts=arrow.binary(facts),
        )

    def close(self) -> None:
        """Read no more; the connections are the store's."""
        self._closed = True
