"""The engine: reads the log in batches and folds them into a generation, one transaction a batch."""

from collections.abc import Callable
from typing import Final

import duckdb

from projections import batch
from projections.generation import Generation
from runledger.errors import ProjectionFailed
from runledger.store.protocol import LogReader

BATCH_EVENTS: Final = 50_000
"""Events per transaction: enough that a replay is bound by parsing, few enough for memory."""

Progress = Callable[[int, int], None]
"""Called after every batch with (events of the batch, position)."""


class Engine:
    """Projects a log into one generation; for one thread at a time."""

    def __init__(
        self, generation: Generation, reader: LogReader, *, batch_events: int = BATCH_EVENTS
    ) -> None:
        self._generation = generation
        self._reader = reader
        self._batch_events = batch_events
        with generation.transaction() as db:
            batch.prepare(db)
        self.position = generation.position

    def catch_up(self, upto: int, progress: Progress | None = None) -> int:
        """Project the events up to a position; return the position reached.

        Raises ProjectionFailed, with nothing of the batch kept, when a read model's SQL fails.
        """
        while self.position < upto:
            events = self._reader.read(self.position, upto, self._batch_events)
            if events is None:
                break
            count = self._apply(events)
            if count == 0:
                break
            if progress is not None:
                progress(count, self.position)
        return self.position

    def _apply(self, events: object) -> int:
        where = "batch"
        try:
            with self._generation.transaction() as db:
                count, last = batch.load(db, events)
                if count == 0:
                    return 0
                for model in self._generation.models:
                    for name, statement in model.apply.items():
                        where = f"{model.name}/apply.sql: {name}"
                        db.execute(statement)
                where = "deleted"
                if db.execute(batch.SQL["any_deleted"]).fetchall():
                    # In reverse, as anything is taken down: a model that sums another's rows must
                    # still find them.
                    for model in reversed(self._generation.models):
                        for name, statement in model.delete.items():
                            where = f"{model.name}/delete.sql: {name}"
                            db.execute(statement)
                self._generation.advance(last)
        except duckdb.Error as e:
            raise ProjectionFailed(
                f"{where}: after position {self.position}: {str(e).partition(chr(10))[0]}"
            ) from e
        self.position = last
        return count
