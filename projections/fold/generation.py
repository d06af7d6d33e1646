"""A generation: one complete set of read models in one DuckDB file, with its checkpoint."""

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple
from weakref import WeakSet

import duckdb

from projections.files.duckdb_connection import Parsed, close_busy, connect, draw_no_bar
from projections.files.linked_path import behind_link
from projections.files.ownership import not_read_models
from projections.files.writer_lock import WriterLock, expect_free
from projections.fold import batch, stored_models
from projections.fold.database import open_database, unusable_own
from projections.fold.file_errors import expect_readable
from projections.fold.layouts import LAYOUT
from projections.fold.whole_file import expect_whole
from projections.read_models.catalog import changed, described_otherwise, discover
from projections.read_models.order import in_order
from projections.read_models.read_model import ReadModel
from runledger.distribution import package_version
from runledger.errors import NotReadModels, ReadModelsDamaged, ReadModelsError
from runledger.sql_file import fill, literal, quoted, statements

SQL: Final = statements(Path(__file__).with_name("generation.sql"))
MEMORY: Final = ":memory:"
"""The path of a generation without a file."""
MEMORY_LIMIT: Final = "640MiB"
"""Limit of DuckDB's buffers, so that a projecting process stays under 1 GiB; the rest spills."""


class About(NamedTuple):
    """The stored description of a generation; `number` counts up, `position` is its checkpoint."""

    layout: int
    number: int
    position: int
    built_at: datetime
    built_from: str
    built_by: str
    events_digest: str


class Generation:
    """An open generation.

    One process at a time can have it open, and in it either one writer or many readers; any other
    raises ReadModelsLocked.

    `models` is the SQL of a new generation. An existing one continues with the SQL that it stores,
    so that its rows are never a mixture. `bulk` is for batches that arrive as columns: DuckDB then
    uses all its threads.
    """

    def __init__(
        self,
        path: str | Path,
        models: Sequence[ReadModel] | None = None,
        *,
        number: int = 1,
        built_from: str = "store",
        read_only: bool = False,
        memory_limit: str = MEMORY_LIMIT,
        bulk: bool = False,
    ) -> None:
        self.path = behind_link(path)
        self._cursors: WeakSet[Any] = WeakSet()
        self._counting = threading.Lock()
        self._hold = self._take(read_only)
        in_memory = str(self.path) == MEMORY
        try:
            if not (in_memory or read_only or self.path.exists()):
                self._put_new_in_place(models, number, built_from)
            elif not read_only and Path(f"{self.path}.wal").exists():
                # Opening a database for writing replays its write-ahead log, even if it is another
                # program's.
                self._expect_generation(
                    open_database(self.path, read_only=True, memory_limit=memory_limit, bulk=bulk)
                )
            self._db = Parsed(
                open_database(self.path, read_only=read_only, memory_limit=memory_limit, bulk=bulk)
            )
        except BaseException:
            self._let_go()
            raise
        try:
            self._db.execute(SQL["settings"])
            draw_no_bar(self._db)
            if in_memory:
                self._create(models, number, built_from)
            elif not _has_generation(self._db):
                raise not_read_models(self.path, "a DuckDB database of another program")
            else:
                self.models = self._check()
                self._expect_checkpoint_of_rows()
                self._expect_writable(read_only)
                self._expect_marked(read_only)
        except duckdb.Error as e:
            self.close()
            raise unusable_own(self.path, e) from e
        except BaseException:
            self.close()
            raise

    def _expect_generation(self, db: Any) -> None:
        with closing(db):
            there = _has_generation(db)
        if not there:
            raise not_read_models(self.path, "a DuckDB database of another program")

    def _put_new_in_place(
        self, models: Sequence[ReadModel] | None, number: int, built_from: str
    ) -> None:
        """Make an empty generation under a temporary name, then give it its own.

        So the file at the path is always complete: if it holds no generation, it is another
        program's.
        """
        part = self.path.with_name(f".{self.path.name}.{os.getpid()}.part")
        try:
            self._db = Parsed(connect(part))
            try:
                self._create(models, number, built_from)
                # Closing writes the write-ahead log into the file too, but reports no failure.
                self._db.execute(SQL["checkpoint"])
            finally:
                self._db.close()
            with suppress(FileExistsError):
                # A link, not a rename: it fails if another process put its own there meanwhile.
                os.link(part, self.path)
        except duckdb.Error as e:
            raise unusable_own(self.path, e) from e
        except OSError as e:
            raise ReadModelsError(f"read models {str(self.path)!r}: {e.strerror or e}") from e
        finally:
            for left in (part, Path(f"{part}.wal")):
                with suppress(OSError):
                    left.unlink(missing_ok=True)

    def _take(self, read_only: bool) -> WriterLock | None:
        if str(self.path) == MEMORY:
            return None
        if read_only:
            expect_free(self.path)
            return None
        return WriterLock(self.path)

    def _let_go(self) -> None:
        if self._hold is not None:
            self._hold.release()

    def _create(self, models: Sequence[ReadModel] | None, number: int, built_from: str) -> None:
        self.models = in_order(discover() if models is None else models)
        with self.transaction() as db:
            db.execute(SQL["create"])
            db.execute(SQL["create_marks"])
            db.execute(
                SQL["begin"],
                {
                    "layout": LAYOUT,
                    "number": number,
                    "built_from": built_from,
                    "built_by": package_version(),
                    "events_digest": batch.events_digest(),
                },
            )
            stored_models.create(db, self.models)

    def _expect_writable(self, read_only: bool) -> None:
        ((published,),) = self._db.execute(SQL["is_published"]).fetchall()
        if published and not read_only:
            raise ReadModelsError(
                f"read models {str(self.path)!r}: expected those that are projected into, found a "
                f"published copy; name its folder to read from it"
            )

    def _check(self) -> tuple[ReadModel, ...]:
        found = self._db.execute(SQL["layout"]).fetchall()
        if len(found) != 1:
            raise ReadModelsDamaged(
                f"read models {str(self.path)!r}: expected one checkpoint, found {len(found)}; "
                f"run `runledger replay --switch`"
            )
        if found[0][0] > LAYOUT:
            raise ReadModelsError(
                f"read models {str(self.path)!r}: expected layout {LAYOUT} or older, found "
                f"{found[0][0]}; they were built by a newer version of runledger"
            )
        return stored_models.read(self._db, found[0][0])

    def _expect_checkpoint_of_rows(self) -> None:
        """Refuse a checkpoint that was set back: the events after it would be counted twice."""
        position = self.position
        if (found := stored_models.beyond(self._db, self.models, position)) is not None:
            raise ReadModelsDamaged(
                f"read models {str(self.path)!r}: expected rows up to the checkpoint {position}, "
                f"found some of {found}: it was set back; `runledger replay --switch` puts others "
                f"in their place"
            )

    def _expect_marked(self, read_only: bool) -> None:
        """Refuse a checkpoint at which no batch ended; add the mark that an older version lacks."""
        ((marked,),) = self._db.execute(SQL["has_marks"]).fetchall()
        if marked and (unmarked := self._db.execute(SQL["unmarked"]).fetchall()):
            if self.about.layout >= stored_models.DECLARED:
                raise ReadModelsDamaged(
                    f"read models {str(self.path)!r}: expected a checkpoint that a batch ended at, "
                    f"found {unmarked[0][0]}: it was set by hand; `runledger replay --switch` puts "
                    f"others in their place"
                )
        elif marked:
            return
        if not read_only:
            with self.transaction() as db:
                if not marked:
                    db.execute(SQL["create_marks"])
                db.execute(SQL["mark_checkpoint"])

    @property
    def changed(self) -> list[str]:
        """The names of read models whose SQL on disk differs from the SQL that made their rows."""
        return changed(self.models, discover())

    def redescribe(self) -> None:
        """Adopt declarations on disk that change the description of rows, not the rows."""
        if taken := described_otherwise(self.models, discover()):
            with self.transaction() as db:
                for model in taken:
                    stored_models.remember(db, model)
            self.models = stored_models.read(self._db, LAYOUT)

    def upgrade(self) -> None:
        """Migrate a copy of an older generation to the current layout, before it is changed."""
        if self.about.layout < LAYOUT:
            with self.transaction() as db:
                stored_models.make_room(db)

    def forget(self, model: ReadModel) -> None:
        """Delete the SQL of a read model whose rows are deleted; call it inside a transaction."""
        stored_models.forget(self._db, model.name)

    def remember(self, model: ReadModel) -> None:
        """Store the SQL that makes a read model's rows; call it inside a transaction."""
        stored_models.remember(self._db, model)

    @property
    def about(self) -> About:
        """The stored description of this generation; callable from any thread."""
        with closing(self.cursor()) as db:
            (row,) = db.execute(SQL["about"]).fetchall()
        return About(*row)

    @property
    def position(self) -> int:
        """The last position whose event is in every read model."""
        ((position,),) = self._db.execute(SQL["position"]).fetchall()
        return int(position)

    def rows(self) -> dict[str, int]:
        """Return how many rows every table has; callable from any thread."""
        tables = (table for model in self.models for table in model.keys)
        counts = (fill(SQL["count"], name=literal(t), table=quoted(t)) for t in tables)
        with closing(self.cursor()) as db:
            return dict(db.execute(" UNION ALL ".join(counts)).fetchall())

    def expect_whole(self) -> None:
        """Raise ReadModelsDamaged if the file ends before the last block that is in use."""
        expect_whole(self.path, self._db)

    def advance(self, position: int) -> None:
        """Move the checkpoint; call it inside the transaction that writes the rows."""
        self._db.execute(SQL["advance"], {"position": position})

    def renumber(self, number: int) -> None:
        """Give the generation another number."""
        self._db.execute(SQL["renumber"], {"number": number})

    def describe(self, number: int, built_from: str) -> None:
        """Store the description of a changed copy; call it inside the transaction that writes the
        rows."""
        self.models = stored_models.read(self._db, LAYOUT)
        self._db.execute(
            SQL["describe"],
            {
                "number": number,
                "built_from": built_from,
                "built_by": package_version(),
                "events_digest": batch.events_digest(),
            },
        )

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        """Give the writing connection; commit at the end, roll back on any error."""
        self._db.execute("BEGIN")
        try:
            yield self._db
            self._db.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise

    def _roll_back(self) -> None:
        try:
            self._db.execute("ROLLBACK")
        except duckdb.OutOfMemoryException as e:
            # After an incomplete rollback the connection is unusable: later statements see
            # conflicts.
            raise ReadModelsError(
                f"read models {str(self.path)!r}: out of memory, also for undoing a batch; the "
                f"file is as it was before: open it again"
            ) from e
        except duckdb.Error:
            # A full disk may have ended the transaction, or the whole instance, already.
            return

    def cursor(self) -> Any:
        """Return a connection for one thread that reads."""
        with self._counting:
            cursor = self._db.cursor()
            self._cursors.add(cursor)
        cursor.execute(SQL["settings"])
        draw_no_bar(cursor)
        return cursor

    def interrupt(self) -> None:
        """Interrupt the queries that cursors are running; they raise duckdb.InterruptException."""
        with self._counting:
            for cursor in self._cursors:
                cursor.interrupt()

    def checkpoint(self) -> None:
        """Write the write-ahead log into the file, so that closing it is fast; callable from any
        thread."""
        # DuckDB refuses while another thread's transaction writes; closing writes the rest.
        with (
            suppress(duckdb.TransactionException),
            expect_readable(self.path),
            closing(self.cursor()) as db,
        ):
            db.execute(SQL["checkpoint"])

    def close(self) -> None:
        """Write the write-ahead log into the file and close it, with every cursor."""
        # One open cursor would keep the whole instance, and the lock on the file, alive.
        with self._counting:
            for cursor in self._cursors:
                close_busy(cursor)
            self._db.close()
        self._let_go()


def expect_own(path: Path) -> None:
    """Raise NotReadModels for a file that the ledger did not make; a missing file is accepted.

    A file of the ledger is accepted even if another process has it open, or if it is damaged or of
    a newer version.
    """
    if not path.exists():
        return
    try:
        Generation(path, read_only=True).close()
    except NotReadModels:
        raise
    except ReadModelsError:
        return


def _has_generation(db: Any) -> bool:
    # Not asked of the catalog: DuckDB would bind every view of its own, for each file it opens.
    try:
        db.execute(SQL["has_generation"])
    except (duckdb.CatalogException, duckdb.BinderException):
        return False
    return True
