"""The feed: reads and parses the next batches of a log while the one before is folded."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import cycle
from typing import Any, Final, Literal, NamedTuple, Protocol, runtime_checkable

from projections.files.duckdb_connection import Parsed
from projections.fold import loader
from runledger.sql_file import fill, quoted, render
from runledger.store.checked_reader import CheckedLogReader
from runledger.store.protocol import LogReader

BATCH_BYTES: Final = 64 * 2**20
"""Approximate size of a batch as it is read: two of them are in memory, beyond DuckDB's limit."""
FIRST_EVENTS: Final = 20_000
"""Size of the first batch; doubled for each later one, so that the first fold starts early."""


@runtime_checkable
class FileReader(Protocol):
    """A log reader whose events stay in their files; see projections.archive.reader."""

    in_files: Literal[True]


class Span(NamedTuple):
    """Events with after < position <= upto, `limit` at most."""

    after: int
    upto: int
    limit: int


class Taken(NamedTuple):
    """The content of the event tables, and the source that they were filled from."""

    source: loader.Source
    loaded: loader.Loaded


class _Read(NamedTuple):
    """The table that events were read into, None if there are none, and the span after them."""

    source: loader.Source | None
    beyond: Span | None


class Feed:
    """Fills the event tables through connections of its own.

    Three batches are in progress: one is read, one is parsed, one is folded. A transaction sees the
    tables as they were at its first read, so they are refilled while the batch in them is folded.
    """

    def __init__(self, connect: Callable[[], Any], reader: LogReader) -> None:
        self._db = Parsed(connect())
        self._reading_db = Parsed(connect())
        self._raw = cycle(("raw_even", "raw_odd"))
        self._reader = reader
        self._reading = ThreadPoolExecutor(1, thread_name_prefix="runledger-read")
        self._loading = ThreadPoolExecutor(1, thread_name_prefix="runledger-load")
        self._read_ahead: tuple[Span, Future[_Read]] | None = None
        self._load_ahead: tuple[Span, Future[Taken | None]] | None = None
        self._loaded = loader.NOTHING
        self._affordable = FIRST_EVENTS
        loader.prepare(self._db)

    def take(self, span: Span) -> Taken | None:
        """Load a batch, which may have less than the limit; None if there are no events."""
        ahead, self._load_ahead = self._load_ahead, None
        if ahead is not None:
            prefetched, loading = ahead
            if prefetched == span:
                return loading.result()
            # A batch failed, so another one is asked for: the prefetched one must not follow it.
            self._forget(loading)
        return self._load(span)

    def prefetch(self, span: Span) -> None:
        """Begin to load the batch that is expected to be taken next, and to read the one after.

        Call it inside a transaction that has read the previous batch.
        """
        self._load_ahead = span, self._loading.submit(self._load, span, ahead=True)

    def limit(self, span: Span) -> int:
        """Return the largest number of events that one read of a span may return.

        Events of the log are copied into a table first, so memory bounds their number; a reader of
        files leaves them in their files.
        """
        in_files = isinstance(self._reader, FileReader)
        return span.limit if in_files else min(span.limit, self._affordable)

    def drain(self) -> None:
        """Wait until nothing is being read or loaded."""
        ahead, self._load_ahead = self._load_ahead, None
        if ahead is not None:
            self._forget(ahead[1])

    def _forget(self, loading: "Future[Taken | None]") -> None:
        loading.exception()
        reading, self._read_ahead = self._read_ahead, None
        if reading is not None:
            reading[1].exception()

    def _load(self, span: Span, *, ahead: bool = False) -> Taken | None:
        read_ahead, self._read_ahead = self._read_ahead, None
        if read_ahead is not None and read_ahead[0] == span:
            source, beyond = read_ahead[1].result()
        else:
            source, beyond = self._reading.submit(self._read, span).result()
        if source is None:
            return None
        if ahead and beyond is not None:
            self._read_ahead = beyond, self._reading.submit(self._read, beyond)
        # A load that failed halfway has filled some tables and emptied none.
        before, self._loaded = self._loaded, loader.NOTHING
        self._loaded = loader.load(self._db, source, before)
        return Taken(source, self._loaded)

    def _read(self, span: Span) -> _Read:
        events = self._reader.read(span.after, span.upto, self.limit(span))
        if events is None or isinstance(events, loader.ArchivedEvents):
            return _Read(events, None)
        # Copied into a table, because some readers return a stream, which can be read only once.
        # DuckDB copies it: Python would keep the GIL, and block the fold, while it waits for the
        # server.
        db, table = self._reading_db, next(self._raw)
        if isinstance(events, loader.ArchivedFacts):
            with events.unchanged():
                self._keep(table, events.facts())
        else:
            db.register("log_batch", events)
            try:
                self._keep(table, "log_batch")
            finally:
                # A stream must not outlive the connection that it reads from.
                db.unregister("log_batch")
        ((count, last, size),) = db.execute(render(loader.SQL["size"], table=table)).fetchall()
        if not count:
            return _Read(None, None)
        self._affordable = max(1, min(2 * self._affordable, BATCH_BYTES * count // max(1, size)))
        beyond = span._replace(after=last) if last < span.upto else None
        reader = self._reader
        damaged = dict(reader.damaged) if isinstance(reader, CheckedLogReader) else {}
        return _Read(loader.LoggedEvents(f"feed.main.{table}", count, damaged), beyond)

    def _keep(self, table: str, source: str) -> None:
        self._reading_db.execute(fill(loader.SQL["read"], table=quoted(table), source=source))
