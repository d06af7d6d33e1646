"""The live read models: kept by one process, caught up before each answer, read by many threads."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, TypeVar

import duckdb

from projections.archive.store import ArchiveStore, checked_log
from projections.fold.engine import Engine, Progress
from projections.fold.file_errors import expect_readable
from projections.fold.generation import Generation
from projections.fold.log_identity import LogIdentity
from projections.fold.parking import Parked, Retried, parked
from projections.generations.generations import Generations
from projections.generations.interruptible_gate import Gate
from projections.generations.manifest import GenerationManifest
from projections.generations.single_flight import SingleFlight
from projections.generations.snapshot import Snapshot
from projections.queries.queries import Queries
from runledger.errors import NotFound, ReadModelsDamaged, ReadModelsError, ReadModelsLocked
from runledger.store import Store

_LOG: Final = logging.getLogger("runledger.read_models")
REOPEN_SECONDS: Final = 30.0
_T = TypeVar("_T")


class LiveReadModels:
    """An open generation that follows a store and can be switched to another generation.

    New rows are made by the SQL that the generation was built with; `changed` names the read models
    whose SQL on disk differs. Unlike a published copy, the generation follows the log.
    """

    follows: Final = True

    def __init__(self, store: Store, path: str | Path) -> None:
        self._store = store
        self.generations = Generations(path)
        self._generation = Generation(path, number=self.generations.first_number())
        try:
            self._expect_this_log()
            self._generation.redescribe()
            self.generations.recover(self._generation)
            self._reader = checked_log(store)
        except BaseException:
            self._generation.close()
            raise
        self._engine = self._following(self._generation)
        if names := self.changed:
            _LOG.warning(
                "read models %s: the SQL of %s is not the one that made their rows, which they go "
                "on by; run `runledger replay --changed`, and with --switch once it is right",
                path,
                ", ".join(names),
            )
        self._projecting = SingleFlight()
        self._gate = Gate()
        self._threads = threading.local()
        self._closed = False

    def _following(self, generation: Generation) -> Engine:
        return Engine(generation, self._reader, log=self._store)

    def _expect_this_log(self) -> None:
        position, head = self._generation.position, self._store.head()
        if position <= head or not isinstance(self._store, ArchiveStore):
            LogIdentity(self._generation.path, self._generation.cursor).expect(self._store)
        else:
            raise ReadModelsDamaged(
                f"read models {str(self.path)!r}: expected none beyond the archive, which ends at "
                f"{head}, found a checkpoint at {position}: bring the archive up to date with "
                f"`runledger archive`, or name the store, or other read models"
            )

    @property
    def path(self) -> Path:
        """The path of the generation's file."""
        return self.generations.path

    @property
    def position(self) -> int:
        """The last position that the read models have."""
        return self._engine.position

    @property
    def generation(self) -> Generation:
        """The generation that answers queries; a switch replaces it."""
        return self._generation

    @property
    def changed(self) -> list[str]:
        """The read models that a replay would make by changed SQL, or for the first time."""
        return self._generation.changed

    def catch_up(self, progress: Progress | None = None) -> int:
        """Project at least all events recorded at the time of the call; return the position.

        Raises:
            ReadModelsDiverged: if the read models were made from another log.
        """
        head = self._store.head()
        if head <= self._engine.position:
            # If there is more to project, the engine checks the log.
            self._engine.identity.expect(self._store)
        with self._projecting.unless_done(lambda: self._engine.position >= head) as mine:
            if mine:
                self._expect_open()
                # Events recorded while this thread waited add little to its batch, and save the
                # threads that wait for them a batch of their own.
                self._engine.catch_up(self._store.head(), progress)
        return self._engine.position

    def ask(self, question: Callable[[Queries], _T]) -> _T:
        """Catch up, then answer: a program reads what it has written.

        A query that a switch interrupts is repeated on the next generation; a query that closing
        interrupts raises ReadModelsError.
        """
        while True:
            self.catch_up()
            with self._gate.open():
                self._expect_open()
                try:
                    with expect_readable(self.path):
                        return question(self._queries())
                except duckdb.ProgrammingError as e:
                    if not self.changed:
                        raise
                    raise ReadModelsError(
                        f"read models {str(self.path)!r}: expected those of this version, found "
                        f"{', '.join(self.changed)} built by an older version or by other SQL; run "
                        f"`runledger replay --switch`"
                    ) from e
                except Exception:
                    if not self._gate.shut:
                        raise

    def _queries(self) -> Queries:
        """Return this thread's connection for queries to the current generation."""
        known: tuple[Generation, Queries] | None = getattr(self._threads, "known", None)
        if known is None or known[0] is not self._generation:
            known = self._generation, Queries(self._generation.cursor(), lambda: self._gate.shut)
            self._threads.known = known
        return known[1]

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """Yield the read models as of one position; the live ones continue to be projected."""
        with self._projecting.exclusive():
            self._expect_open()
            snapshot = Snapshot(self._generation)
        try:
            yield snapshot
        finally:
            snapshot.close()

    def copy(self, file: Path) -> int:
        """Write the current rows into a new file; return its position."""
        self.catch_up()
        with self.snapshot() as snapshot:
            snapshot.copy_to(file)
        return snapshot.position

    def parked(self) -> list[Parked]:
        """Return the streams with events that are left out because they cannot be applied."""
        self.catch_up()
        with self._projecting.exclusive():
            return parked(self._generation.cursor())

    def retry_parked(self, streams: Sequence[str] | None = None) -> Retried:
        """Apply the events of parked streams that were left out; of all streams if none are named.

        Raises:
            NotFound: if a named stream is not parked.
        """
        unknown = set(streams or ()) - {found.stream for found in self.parked()}
        if unknown:
            raise NotFound("parked run", min(unknown))
        with self._projecting.exclusive():
            return self._engine.retry(streams)

    def switch(self, number: int) -> GenerationManifest:
        """Make another generation the live one; the previous one is kept.

        The new one catches up first. Queries wait for the rename only, not for catching up.
        """
        candidate = Generation(self.generations.file(number))
        reader = checked_log(self._store)
        try:
            engine = Engine(candidate, reader, log=self._store)
            engine.identity.expect(self._store)
            engine.catch_up(self._store.head())
            candidate.checkpoint()
            self._generation.checkpoint()
            with self._projecting.exclusive():
                engine.catch_up(self.position)
                candidate.close()
                self._generation.checkpoint()
                before = self.generations.record(self._generation, "live").number
                try:
                    with self._gate.exclusive(self._generation.interrupt):
                        self._exchange(before, number)
                finally:
                    self._engine = self._following(self._generation)
        finally:
            reader.close()
            candidate.close()
        self.generations.recover(self._generation)
        return self.generations.record(self._generation, "live")

    def _exchange(self, before: int, number: int) -> None:
        try:
            self._generation.close()
            self.generations.exchange(before, number)
        finally:
            # Whichever generation is at the path.
            self._generation = self._reopen()

    def _reopen(self) -> Generation:
        """Open the generation at the path; another process may have opened it meanwhile."""
        deadline = time.monotonic() + REOPEN_SECONDS
        while True:
            try:
                return Generation(self.path)
            except ReadModelsLocked:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)

    def _expect_open(self) -> None:
        if self._closed:
            raise ReadModelsError(
                f"read models {str(self.path)!r}: closed while a question was being answered"
            )

    def close(self) -> None:
        """Close the file; its manifest has its position. Running queries are interrupted."""
        with self._projecting.exclusive():
            self._closed = True
            self._reader.close()
            # The next process that opens the file updates it; a full disk must not prevent closing.
            with suppress(OSError, duckdb.Error, ReadModelsError):
                self.record()
            with self._gate.exclusive(self._generation.interrupt):
                self._generation.close()

    def record(self) -> None:
        """Write the generation's position into its manifest, for processes that cannot open the
        file."""
        entry = self.generations.find(self._generation.about.number)
        if entry is None or entry.position != self.position:
            self.generations.record(self._generation, "live")
