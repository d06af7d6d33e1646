"""The engine: folds the log into a generation in batches, one transaction each."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import duckdb

from projections.fold import parking
from projections.fold.batch import DERIVED, Batch
from projections.fold.feed import Feed, Span
from projections.fold.file_errors import damaged, disk_full
from projections.fold.generation import Generation
from projections.fold.loader import Loaded, unchanged
from projections.fold.log_identity import LogIdentity
from projections.fold.step_prices import StepPrices
from projections.read_models.order import deletion_order
from projections.read_models.read_model import ReadModel
from runledger.errors import ProjectionFailed
from runledger.events import CATALOGUE, RunDeleted
from runledger.sql_file import Statement
from runledger.store import Store
from runledger.store.event_list import END_OF_LOG
from runledger.store.protocol import LogReader

BATCH_EVENTS: Final = 1_000_000
"""Events per transaction: enough that a replay is bound by parsing, few enough for memory."""
RETRY_EVENTS: Final = 1_000
"""Events of the first batch when parked events are retried, which lie far apart."""
ISOLATED_MAX: Final = 100
"""Events that may fail one by one before the share of failing events is checked."""
SHARE_ISOLATED: Final = 0.01

Begun = Callable[[int, int, int], None]
"""Called once with (number of the generation, position it continues from, position to reach)."""
Progress = Callable[[int, int], None]
"""Called after every batch with (events of the batch, position)."""

# Errors that values cause in SQL; no event causes any other (a full disk, a typing error).
_REFUSED: Final = (duckdb.DataError, duckdb.IntegrityError, duckdb.InvalidInputException)


class _TooMuch(Exception):
    """A batch does not fit into memory; `reason` is reported if it cannot be made smaller."""

    def __init__(self, limit: int, reason: ProjectionFailed) -> None:
        self.limit = limit
        self.reason = reason


class _Refused(Exception):
    def __init__(self, where: str, count: int, error: duckdb.Error) -> None:
        self.count = count
        super().__init__(f"{where}: {_first_line(error)}")


class Engine:
    """Projects a log into one generation; for one thread at a time.

    An event that cannot be applied parks its stream from there on; all others are projected. With a
    `log`, which `reader` reads, each batch is kept only if the log still has the event at the
    checkpoint.
    """

    def __init__(
        self,
        generation: Generation,
        reader: LogReader,
        *,
        log: Store | None = None,
        batch_events: int = BATCH_EVENTS,
    ) -> None:
        self._generation = generation
        self._feed = Feed(generation.cursor, reader)
        self._log = log
        self.identity = LogIdentity(generation.path, generation.cursor)
        self._batch_events = batch_events
        with generation.transaction() as db:
            self._seen = Batch(db)
        self._prices = StepPrices()
        self._derived = list(_derived(generation.models))
        self._left = frozenset(CATALOGUE)
        self.position = generation.position

    def catch_up(self, upto: int, progress: Progress | None = None) -> int:
        """Project the events up to a position; return the position reached.

        A batch that does not fit into memory is halved.

        Raises:
            ProjectionFailed: if a read model's SQL fails for a reason other than the content of an
                event, or for more than one event in a hundred; the batch is rolled back.
            ReadModelsError: if the disk is full.
            ReadModelsDiverged: if the rows were made from another log.
        """
        isolation = _Isolation(self._batch_events, self._batch_events)
        try:
            while self.position < upto:
                try:
                    found = self._apply(Span(self.position, upto, isolation.limit))
                except _TooMuch as e:
                    isolation.fit(e)
                    continue
                except _Refused as e:
                    if isolation.narrow(e):
                        self._single(self.position, parking.park_one, str(e))
                    continue
                if found is None:
                    break
                isolation.widen(found.events)
                self.position = found.last
                if progress is not None:
                    progress(found.events, self.position)
        finally:
            self._feed.drain()
        return self.position

    def retry(self, streams: Sequence[str] | None = None) -> parking.Retried:
        """Apply the events of parked streams that were left out; of all streams if none are named.

        An event that can be applied is then in the read models as if it had never been parked.
        """
        with self._generation.transaction() as db:
            parking.release(db, streams)
            tried = [row.stream for row in parking.parked(db)]
            if streams is not None:
                tried = [stream for stream in tried if stream in set(streams)]
        isolation = _Isolation(RETRY_EVENTS, self._batch_events)
        after = 0
        while (position := self._next_retried(after)) is not None:
            after = position - 1
            try:
                found = self._apply(Span(after, self.position, isolation.limit), retry=True)
            except _TooMuch as e:
                isolation.fit(e)
                continue
            except _Refused as e:
                if isolation.narrow(e):
                    self._single(after, parking.fail_again, str(e))
                continue
            if found is None:
                break
            isolation.widen(found.events)
            after = found.last
        with self._generation.transaction() as db:
            left = [row for row in parking.parked(db) if row.stream in set(tried)]
        still = {row.stream for row in left}
        return parking.Retried([stream for stream in tried if stream not in still], left)

    def _next_retried(self, after: int) -> int | None:
        with self._generation.transaction() as db:
            return parking.next_retried(db, after)

    def _apply(self, span: Span, *, retry: bool = False) -> Loaded | None:
        """Fold a batch, or only its parked events; return the loaded batch, or None if it is
        empty."""
        where, count = "batch", 0
        try:
            taken = self._feed.take(span)
            if taken is None or not taken.loaded.events:
                return None
            found = taken.loaded
            count = found.events
            self._seen.uncover()
            with self._generation.transaction() as db, unchanged(taken.source):
                exclude_parked = parking.exclude_still_parked if retry else parking.exclude_parked
                topics = exclude_parked(db, self._seen, taken)
                self._prices.begin(topics)
                if not retry and found.last < span.upto:
                    self._feed.prefetch(span._replace(after=found.last))
                for place, statement, priced in self._statements(topics):
                    if statement.wanted(topics, self._left):
                        where = place
                        if priced:
                            self._prices.look_up(db)
                        db.execute(statement.sql)
                if retry:
                    parking.put_back(db)
                else:
                    self.identity.add(db, taken.source, found.last)
                    self._generation.advance(found.last)
                    # Checked after the batch was read: a log that was restored to an earlier state
                    # before the read shows it now.
                    if self._log is not None:
                        self.identity.expect(self._log)
            self._prices.keep()
            if not retry:
                self.identity.keep()
            self._left = topics
        except duckdb.Error as e:
            path = self._generation.path
            if (of_the_file := disk_full(path, e) or damaged(path, e)) is not None:
                raise of_the_file from e
            if count and isinstance(e, _REFUSED):
                raise _Refused(where, count, e) from e
            failed = ProjectionFailed(f"{where}: after position {span.after}: {_first_line(e)}")
            if isinstance(e, duckdb.OutOfMemoryException):
                raise _TooMuch(count or self._feed.limit(span), failed) from e
            raise failed from e
        return found

    def _statements(self, topics: frozenset[str]) -> Iterator[tuple[str, Statement, bool]]:
        """Yield each statement with its place, and whether it reads the prices of steps."""
        models = self._generation.models
        for statement in self._derived:
            yield f"derived.sql: {statement.name}", statement, False
        for model in models:
            for statement in model.apply:
                priced = statement.name == model.declaration.priced
                yield f"{model.name}/apply.sql: {statement.name}", statement, priced
        for model in deletion_order(models) if RunDeleted.topic in topics else ():
            for statement in model.delete:
                yield f"{model.name}/delete.sql: {statement.name}", statement, False

    def _single(self, after: int, park: Callable[[Any, str], None], reason: str) -> None:
        try:
            taken = self._feed.take(Span(after, END_OF_LOG, 1))
            if taken is not None:
                self._seen.uncover()
                with self._generation.transaction() as db, unchanged(taken.source):
                    park(db, reason)
        except duckdb.Error as e:
            path = self._generation.path
            if (of_the_file := disk_full(path, e) or damaged(path, e)) is not None:
                raise of_the_file from e
            raise ProjectionFailed(f"parking: after position {after}: {_first_line(e)}") from e


def _derived(models: Sequence[ReadModel]) -> Iterator[Statement]:
    """Yield the statements of the derived tables that the read models use; each creates the table
    of its name."""
    words = frozenset[str]().union(*(model.words for model in models))
    return (statement for statement in DERIVED if statement.name in words)


class _Isolation:
    """Finds the events that fail: halves the batch until one is left, then widens it again."""

    def __init__(self, first: int, most: int) -> None:
        self.limit = first
        self._most = most
        self._applied = 0
        self._isolated = 0

    def widen(self, applied: int) -> None:
        self._applied += applied
        self.limit = min(self._most, self.limit * 2)

    def fit(self, found: _TooMuch) -> None:
        """Halve the next batch if one does not fit; ProjectionFailed if it is a single event."""
        if found.limit <= 1:
            raise found.reason from found.reason.__cause__
        self.limit = found.limit // 2

    def narrow(self, refused: _Refused) -> bool:
        """Make the next batch smaller; return whether it was a single event that failed."""
        self.limit = max(1, refused.count // 2)
        if refused.count > 1:
            return False
        self._isolated += 1
        if self._isolated > max(ISOLATED_MAX, SHARE_ISOLATED * self._applied):
            raise ProjectionFailed(
                f"{self._isolated} events were refused of {self._applied + self._isolated}: "
                f"expected an event in a hundred at most; the last one: {refused}"
            ) from refused
        return True


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
