"""The live read models: kept by one process, caught up before each answer, read by many threads."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import duckdb

from projections.engine import Engine, Progress
from projections.gate import Gate
from projections.generation import SQL, Generation
from projections.generations import Generations, Manifest
from projections.queries import Queries
from projections.read_models import changed, discover
from runledger.errors import ReadModelsError
from runledger.store import Store

_T = TypeVar("_T")


class LiveReadModels:
    """An open generation that follows a store, and gives way to another one when it is told to.

    Its rows go on being made by the SQL that it was built with; `changed` names the read models
    whose SQL on disk is another one.
    """

    def __init__(self, store: Store, path: str | Path) -> None:
        self._store = store
        self.generations = Generations(path)
        self._generation = Generation(path, number=self.generations.next_number())
        try:
            self.generations.recover(self._generation)
            self._reader = store.log_reader()
        except BaseException:
            self._generation.close()
            raise
        self._engine = Engine(self._generation, self._reader)
        self._projecting = threading.Lock()
        self._gate = Gate()
        self._threads = threading.local()

    @property
    def path(self) -> Path:
        """Where the generation lies."""
        return self.generations.path

    @property
    def position(self) -> int:
        """The last position that the read models have."""
        return self._engine.position

    @property
    def generation(self) -> Generation:
        """The generation that answers; another one after a switch."""
        return self._generation

    @property
    def changed(self) -> list[str]:
        """The read models that a replay would make by other SQL, or for the first time."""
        return changed(self._generation.models, discover())

    def catch_up(self, progress: Progress | None = None) -> int:
        """Project everything that is recorded at the time of the call; return the position."""
        head = self._store.head()
        # Who waits here while another thread projects mostly finds its work done.
        if self._engine.position < head:
            with self._projecting:
                self._engine.catch_up(head, progress)
        return self._engine.position

    def ask(self, question: Callable[[Queries], _T]) -> _T:
        """Catch up, then answer: a program reads what it has written.

        A question that a switch interrupts is asked again of the next generation.
        """
        while True:
            self.catch_up()
            with self._gate.open():
                try:
                    return question(self._queries())
                except duckdb.ProgrammingError as e:
                    if not self.changed:
                        raise
                    raise ReadModelsError(
                        f"read models {str(self.path)!r}: the SQL of {', '.join(self.changed)} is "
                        f"not the one that made their rows; run `runledger replay --switch`"
                    ) from e
                except Exception:
                    if not self._gate.shut:
                        raise

    def _queries(self) -> Queries:
        """Return this thread's questions to the generation that answers."""
        known: tuple[Generation, Queries] | None = getattr(self._threads, "known", None)
        if known is None or known[0] is not self._generation:
            known = self._generation, Queries(self._generation.cursor())
            self._threads.known = known
        return known[1]

    @contextmanager
    def snapshot(self) -> Iterator[tuple[Any, int]]:
        """Give a connection that sees the read models as of one position, and the position.

        Live goes on; what it takes in meanwhile is not seen. Temporary tables made in the block
        are gone after it.
        """
        cursor = self._generation.cursor()
        try:
            with self._projecting:
                cursor.execute("BEGIN")
                # The first statement, not BEGIN, decides what the transaction sees.
                ((position,),) = cursor.execute(SQL["position"]).fetchall()
            yield cursor, position
            cursor.execute("ROLLBACK")
        finally:
            cursor.close()

    def switch(self, number: int) -> Manifest:
        """Make another generation the live one; the one that was is kept.

        The other one catches up before. Questions wait for a rename, not for the catching up.
        """
        candidate = Generation(self.generations.file(number))
        reader = self._store.log_reader()
        try:
            engine = Engine(candidate, reader)
            engine.catch_up(self._store.head())
            candidate.checkpoint()
            self._generation.checkpoint()
            with self._projecting:
                engine.catch_up(self.position)
                candidate.close()
                self._generation.checkpoint()
                with self._gate.alone(self._generation.interrupt):
                    self._exchange(number)
        finally:
            reader.close()
            candidate.close()
        self.generations.recover(self._generation)
        return self.generations.record(self._generation, "live")

    def _exchange(self, number: int) -> None:
        before = self._generation.about.number
        self._generation.close()
        try:
            self.generations.exchange(before, number)
        finally:
            # Whichever it is that lies there.
            self._generation = Generation(self.path)
            self._engine = Engine(self._generation, self._reader)

    def close(self) -> None:
        """Let go of the file."""
        with self._projecting:
            self._reader.close()
            self._generation.close()
