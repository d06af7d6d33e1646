"""The feed: reads and parses the next batch of a log while the one before is folded."""

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import nanoarrow as na

from projections import batch
from runledger.store.protocol import LogReader


class Span(NamedTuple):
    """Events with after < position <= upto, `limit` at most."""

    after: int
    upto: int
    limit: int


class Taken(NamedTuple):
    """Events as they were read, and what the event tables hold of them."""

    events: Any
    loaded: batch.Loaded


class Feed:
    """Fills the event tables through a connection of its own.

    A reader's transaction sees the tables as they were when it first looked, so they are filled
    anew while the batch in them is folded.
    """

    def __init__(self, db: Any, reader: LogReader) -> None:
        self._db = db
        self._reader = reader
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="runledger-feed")
        self._ahead: tuple[Span, Future[Taken | None]] | None = None
        self._loaded = batch.NOTHING
        batch.prepare(db)

    def take(self, span: Span) -> Taken | None:
        """Load a batch; None where there are no events."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            foreseen, loading = ahead
            if foreseen == span:
                return loading.result()
            # Another was asked for, as a batch was refused: what was loaded must not come after.
            loading.exception()
        return self._load(span)

    def foresee(self, span: Span) -> None:
        """Begin to load the batch that is expected to be taken next.

        Call it inside of a transaction that has looked at the batch before.
        """
        self._ahead = span, self._thread.submit(self._load, span)

    def rest(self) -> None:
        """Wait until nothing is being loaded."""
        if self._ahead is not None:
            self._ahead[1].exception()
            self._ahead = None

    def _load(self, span: Span) -> Taken | None:
        events = self._reader.read(*span)
        if events is None:
            return None
        if not isinstance(events, batch.ArchivedEvents):
            # Some readers give a stream, which can be read once; here it is read once per topic.
            events = na.ArrayStream(events).read_all()
        self._loaded = batch.load(self._db, events, self._loaded)
        return Taken(events, self._loaded)
