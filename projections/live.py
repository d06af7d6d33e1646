"""The live read models: kept by one process, caught up before each answer, read by many threads."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from projections.engine import Engine, Progress
from projections.generation import Generation
from projections.queries import Queries
from runledger.errors import ReadModelsError
from runledger.store import Store

_T = TypeVar("_T")


class LiveReadModels:
    """An open generation that follows a store."""

    def __init__(self, store: Store, path: str | Path) -> None:
        self._store = store
        self._generation = Generation(path)
        try:
            changed = self._generation.changed_models()
            if changed:
                raise ReadModelsError(
                    f"read models {str(path)!r}: the SQL of {', '.join(changed)} is not the one "
                    f"that made their rows; run `runledger replay --switch`"
                )
            self._reader = store.log_reader()
        except BaseException:
            self._generation.close()
            raise
        self._engine = Engine(self._generation, self._reader)
        self._projecting = threading.Lock()
        self._threads = threading.local()

    @property
    def path(self) -> Path:
        """Where the generation lies."""
        return self._generation.path

    @property
    def position(self) -> int:
        """The last position that the read models have."""
        return self._engine.position

    def catch_up(self, progress: Progress | None = None) -> int:
        """Project everything that is recorded at the time of the call; return the position."""
        head = self._store.head()
        # Who waits here while another thread projects mostly finds its work done.
        if self._engine.position < head:
            with self._projecting:
                self._engine.catch_up(head, progress)
        return self._engine.position

    def ask(self, question: Callable[[Queries], _T]) -> _T:
        """Catch up, then answer: a program reads what it has written."""
        self.catch_up()
        queries: Queries | None = getattr(self._threads, "queries", None)
        if queries is None:
            queries = self._threads.queries = Queries(self._generation.cursor())
        return question(queries)

    def close(self) -> None:
        """Let go of the file."""
        with self._projecting:
            self._reader.close()
            self._generation.close()
