"""The feed: reads and parses the next batch of a log while the one before is folded."""

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

from projections import batch
from runledger.store.protocol import LogReader


class Span(NamedTuple):
    """Events with after < position <= upto, `limit` at most."""

    after: int
    upto: int
    limit: int


class Feed:
    """Fills the table `feed.parsed` through a connection of its own.

    A reader's transaction sees the table as it was when it first looked, so it is filled anew while
    the batch in it is folded.
    """

    def __init__(self, db: Any, reader: LogReader) -> None:
        self._db = db
        self._reader = reader
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="runledger-feed")
        self._ahead: tuple[Span, Future[Any]] | None = None
        db.execute(batch.SQL["feed"])
        batch.prepare(db)

    def take(self, span: Span) -> Any:
        """Load a batch and return its events as they were read; None where there are none."""
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

    def _load(self, span: Span) -> Any:
        events = self._reader.read(*span)
        if events is not None:
            batch.load(self._db, events)
        return events
