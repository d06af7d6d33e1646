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

from projections.files.duckdb_connection import Parsed, connect, draw_no_bar
from projections.files.linked_path import behind_link
from projections.files.ownership import not_read_models
from projections.files.writer_lock import WriterLock, expect_free
from projections.fold import batch, stored_models
from projections.fold.database import open_database, unusable_own
from projections.fold.whole_file import expect_whole
from projections.read_models.catalog import changed, described_otherwise, discover
from projections.read_models.order import in_order
from projections.read_models.read_model import ReadModel
from runledger.distribution import package_version
from runledger.errors import NotReadModels, ReadModelsDamaged, ReadModelsError
from runledger.sql_file import fill, literal, quoted, statements

LAYOUT: Final = stored_models.DECLARED
"""The layout of the generation's own tables: 2 holds declarations. Read models are told apart by
their digests."""

SQL: Final = statements(Path(__file__).with_name("generation.sql"))
MEMORY: Final = ":memory:"
"""The path of a generation without a file."""
MEMORY_LIMIT: Final = "640MiB"
"""For DuckDB's own pages, so that a process that projects stays under 1 GiB; larger work spills."""


class About(NamedTuple):
    """What a generation knows of itself; `number` counts up, position is its checkpoint."""

    layout: int
    number: int
    position: int
    built_at: datetime
    built_from: str
    built_by: str
    events_digest: str


class Generation:
    """An open generation. One process at a time can have it open, readers included, and there
    one writer or many readers; ReadModelsLocked for others.

    `models` is the SQL of a generation that is made; the rows of one that exists go on being made
    by the SQL that it holds, never by a mixture. `bulk` is for batches that come as columns:
    DuckDB has all its threads.
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
                # To open a database to write takes its log of writes into it, whosever it is.
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
            elif not self._is_there():
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

    def _is_there(self) -> bool:
        ((there,),) = self._db.execute(SQL["has_generation"]).fetchall()
        return bool(there)

    def _expect_generation(self, db: Any) -> None:
        with closing(db):
            ((there,),) = db.execute(SQL["has_generation"]).fetchall()
        if not there:
            raise not_read_models(self.path, "a DuckDB database of another program")

    def _put_new_in_place(
        self, models: Sequence[ReadModel] | None, number: int, built_from: str
    ) -> None:
        """Make an empty generation under another name, and give it its own.

        So no file at the path is ever half made: one that holds no generation is another program's.
        """
        part = self.path.with_name(f".{self.path.name}.{os.getpid()}.part")
        try:
            self._db = Parsed(connect(part))
            try:
                self._create(models, number, built_from)
                # Closing writes the log of writes into the file too, but tells of no failure.
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
        """Refuse a checkpoint that was set back: the events from there on would count twice."""
        position = self.position
        if (found := stored_models.beyond(self._db, self.models, position)) is not None:
            raise ReadModelsDamaged(
                f"read models {str(self.path)!r}: expected rows up to the checkpoint {position}, "
                f"found some of {found}: it was set back; `runledger replay --switch` puts others "
                f"in their place"
            )

    def _expect_marked(self, read_only: bool) -> None:
        """Refuse a checkpoint that no batch ended at; mark that of an older version."""
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
        """The names of read models whose SQL on disk is not the one that made their rows."""
        return changed(self.models, discover())

    def redescribe(self) -> None:
        """Take over declarations on disk that only describe the rows in another way."""
        if taken := described_otherwise(self.models, discover()):
            with self.transaction() as db:
                for model in taken:
                    stored_models.remember(db, model)
            self.models = stored_models.read(self._db, LAYOUT)

    def upgrade(self) -> None:
        """Bring a copy of an older generation to today's layout, before it is changed."""
        if self.about.layout < LAYOUT:
            with self.transaction() as db:
                stored_models.make_room(db)

    def forget(self, model: ReadModel) -> None:
        """Forget the SQL of a read model whose rows are gone; call it inside a transaction."""
        stored_models.forget(self._db, model.name)

    def remember(self, model: ReadModel) -> None:
        """Keep the SQL that makes a read model's rows; call it inside a transaction."""
        stored_models.remember(self._db, model)

    @property
    def about(self) -> About:
        """Which generation this is; from any thread."""
        with closing(self.cursor()) as db:
            (row,) = db.execute(SQL["about"]).fetchall()
        return About(*row)

    @property
    def position(self) -> int:
        """The last position whose event is in every read model."""
        ((position,),) = self._db.execute(SQL["position"]).fetchall()
        return int(position)

    def rows(self) -> dict[str, int]:
        """Return how many rows every table has; from any thread."""
        tables = (table for model in self.models for table in model.keys)
        counts = (fill(SQL["count"], name=literal(t), table=quoted(t)) for t in tables)
        with closing(self.cursor()) as db:
            return dict(db.execute(" UNION ALL ".join(counts)).fetchall())

    def expect_whole(self) -> None:
        """Raise ReadModelsDamaged where the file ends before the last block that is in use."""
        expect_whole(self.path, self._db)

    def advance(self, position: int) -> None:
        """Move the checkpoint; call it inside the transaction of the rows."""
        self._db.execute(SQL["advance"], {"position": position})

    def renumber(self, number: int) -> None:
        """Give the generation another number."""
        self._db.execute(SQL["renumber"], {"number": number})

    def describe(self, number: int, built_from: str) -> None:
        """Say what was made of a copy, after its SQL; inside the transaction of the rows."""
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
            # What is half undone is nothing to go on from: later statements see conflicts.
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
        """End the questions that cursors are answering, with duckdb.InterruptException."""
        with self._counting:
            for cursor in self._cursors:
                cursor.interrupt()

    def checkpoint(self) -> None:
        """Write the file whole, so that closing it takes no time; from any thread."""
        # Refused while another thread's transaction writes; closing does what is left then.
        with suppress(duckdb.TransactionException), closing(self.cursor()) as db:
            db.execute(SQL["checkpoint"])

    def close(self) -> None:
        """Write the file whole and let go of it; every cursor is closed too."""
        # One open cursor would keep the whole instance, and the lock on the file, alive.
        with self._counting:
            for cursor in self._cursors:
                cursor.close()
            self._db.close()
        self._let_go()


def expect_own(path: Path) -> None:
    """Raise NotReadModels for a file that the ledger did not make; nothing for what is not there.

    Its own is also one that another process holds, that is damaged or of a newer version.
    """
    if not path.exists():
        return
    try:
        Generation(path, read_only=True).close()
    except NotReadModels:
        raise
    except ReadModelsError:
        return
