"""The PostgreSQL store: appends through the recorder, reads through the library's pool."""

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from typing import Any, TypeAlias, TypeVar

import psycopg
from eventsourcing.persistence import PersistenceError
from eventsourcing.postgres import PostgresDatastore
from psycopg.conninfo import make_conninfo
from psycopg.errors import LockNotAvailable, ReadOnlySqlTransaction
from psycopg.rows import tuple_row

from runledger.errors import OnlyRead, StoreBusy, StoreRefused, StoreUnavailable, UnsafeSetting
from runledger.store.bound_writes import Fetch, put_tile, save_checkpoint
from runledger.store.codec import decode
from runledger.store.lease import SECONDS, Leases
from runledger.store.log_mark import LogMark
from runledger.store.postgres.address import Address, parse
from runledger.store.postgres.log_reader import PostgresLogReader
from runledger.store.postgres.pooled_log_reader import PooledLogReader
from runledger.store.postgres.recorder import LedgerRecorder, settle
from runledger.store.postgres.spans import PostgresSpans
from runledger.store.postgres.statements import queries
from runledger.store.protocol import (
    LOCK_SECONDS,
    READS,
    Append,
    LogReader,
    Recorded,
    StoredEvent,
    StoredRow,
    Verdict,
)
from runledger.store.schema_version import SCHEMA_VERSION, check_version
from runledger.store.spans import SpanTable
from runledger.store.tiles import Tile, TilesEnd

_Connection: TypeAlias = "psycopg.Connection[Any]"
_Result = TypeVar("_Result")
_LAST = 2**63 - 1
_UNSAFE = "POSTGRES_ENABLE_DB_FUNCTIONS"
# Together as long as a server takes to start again.
_RETRY_SECONDS = (0.0, 0.05, 0.2, 0.5, 1.0, 2.0, 3.0, 3.0)
_POOL_SIZE = 10
_READ_ONLY = "a server that takes no writes: a standby, or default_transaction_read_only is on"


class PostgresStore:
    """One schema of one database; see runledger.store.protocol.Store."""

    def __init__(self, url: str, *, create: bool = True) -> None:
        if os.environ.get(_UNSAFE, "").lower() in ("y", "yes", "t", "true", "on", "1"):
            raise UnsafeSetting(
                f"{_UNSAFE}: the library's own functions take no lock and lose events under "
                f"concurrent writers; expected it unset, found {os.environ[_UNSAFE]!r}"
            )
        address = parse(url)
        self.url = address.shown
        self._sql = queries(address.schema)
        self._dsn = make_conninfo(**address.keywords)
        with self._translated():
            there, current = self._look(address)
            if not there and not create:
                raise StoreUnavailable(
                    f"store {self.url!r}: no ledger in schema {address.schema!r}"
                )
            datastore = _datastore(address, self._sql["session"], pooled=self._pooled)
            try:
                self._recorder = LedgerRecorder(datastore, pooled=self._pooled)
                if not current:
                    self._recorder.create_table()
            except BaseException:
                datastore.close()
                raise
        self._leases = Leases(self)

    def _look(self, address: Address) -> tuple[bool, bool]:
        """Whether the schema holds a ledger of a layout known here, and whether it lacks nothing.

        A pooler tells its clients numbers of its own in the place of the server process's: by that
        it is known, whatever its mode is.
        """
        with psycopg.connect(**address.keywords, autocommit=True, prepare_threshold=None) as db:
            ((backend,),) = db.execute(self._sql["backend"]).fetchall()
            self._pooled = backend != db.info.backend_pid
            ((there,),) = db.execute(self._sql["has_tables"]).fetchall()
            if not there:
                return False, False
            ((found,),) = db.execute(self._sql["schema_version"]).fetchall()
            check_version(self.url, found)
            ((current,),) = db.execute(self._sql["is_current"]).fetchall()
            ((read_only,),) = db.execute(self._sql["read_only"]).fetchall()
        return True, bool((current and int(found) == SCHEMA_VERSION) or read_only)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn the driver's words, and the library's, into ours."""
        try:
            yield
        except (PersistenceError, psycopg.Error) as e:
            cause = e.__cause__ or e
            if isinstance(cause, ReadOnlySqlTransaction):
                raise OnlyRead(self.url, _READ_ONLY) from e
            if isinstance(cause, LockNotAvailable):
                raise StoreBusy(self.url, LOCK_SECONDS) from e
            raise StoreUnavailable(f"store {self.url!r}: {str(e).strip()}") from e

    @property
    def epoch(self) -> int:
        """How often the log was found to have gone back."""
        return self._recorder.acknowledged.epoch

    def expect_writable(self) -> None:
        """Raise OnlyRead if the server takes no writes: a standby, or one that was told so."""
        ((read_only,),) = self._fetch("read_only", ())
        if read_only:
            raise OnlyRead(self.url, _READ_ONLY)

    def append(self, appends: Sequence[Append]) -> list[Verdict]:
        """Record the appends; after a cut connection, try again and tell what had been recorded."""
        cut: psycopg.Error | None = None
        for pause in _RETRY_SECONDS:
            time.sleep(pause)
            try:
                verdicts = self._recorder.append(appends)
                if cut is not None:
                    verdicts = [self._settle(*pair) for pair in zip(appends, verdicts, strict=True)]
                return verdicts
            except (psycopg.OperationalError, psycopg.InterfaceError) as e:
                if isinstance(e, LockNotAvailable):
                    raise StoreBusy(self.url, LOCK_SECONDS) from e
                if self._recorder.connected:
                    # The server said no, to a full disk for instance: nothing of this attempt was
                    # recorded, and another would fare no better.
                    raise StoreUnavailable(f"store {self.url!r}: {str(e).strip()}") from e
                cut = e
            except ReadOnlySqlTransaction as e:
                raise OnlyRead(self.url, _READ_ONLY) from e
            except (psycopg.Error, UnicodeError) as e:
                raise StoreRefused(f"store {self.url!r}: {str(e).strip()}") from e
        raise StoreUnavailable(f"store {self.url!r}: {str(cut).strip()}") from cut

    def _settle(self, append: Append, verdict: Verdict) -> Verdict:
        """Tell a conflict with others from one with our own commit whose answer was lost."""
        if isinstance(verdict, Recorded):
            return verdict
        return self._recorder.recorded(append) or verdict

    def _fetch(self, name: str, parameters: Any) -> list[tuple[Any, ...]]:
        """Execute a statement that may be executed twice."""
        return self._on_one_connection(lambda db: self._rows(db, name, parameters))

    def _transact(self, work: Callable[[Fetch], _Result]) -> _Result:
        """Do work that may be done twice in a transaction."""

        def within(db: _Connection) -> _Result:
            with db.transaction():
                return work(partial(self._rows, db))

        return self._on_one_connection(within)

    def _rows(self, db: _Connection, name: str, parameters: Any) -> list[tuple[Any, ...]]:
        with db.cursor(row_factory=tuple_row) as cursor:
            cursor.execute(self._sql[name], parameters, prepare=not self._pooled, binary=True)
            return cursor.fetchall() if cursor.description else []

    def _on_one_connection(
        self,
        work: Callable[[_Connection], _Result],
        opened: Callable[[], AbstractContextManager[_Connection]] | None = None,
    ) -> _Result:
        """Do work that may be done twice, on a connection of the pool, or one that is `opened`.

        The pool does not notice that the server has cut its connections, which a restart does to
        all of them at once: the first that is found dead has the idle ones looked at.
        """
        cut: psycopg.Error | None = None
        datastore = self._recorder.datastore
        opened = opened or datastore.get_connection
        with self._translated():
            for pause in _RETRY_SECONDS:
                time.sleep(pause)
                connection: _Connection | None = None
                with ExitStack() as block:
                    try:
                        connection = block.enter_context(opened())
                        return work(connection)
                    except (psycopg.OperationalError, psycopg.InterfaceError) as e:
                        if connection is not None and not connection.closed:
                            raise
                        cut = e
                datastore.pool.check()
            raise cut or AssertionError("no attempt was made")

    def read_stream(
        self, stream: str, after: int = 0, upto: int | None = None, contents: bool = True
    ) -> list[StoredEvent]:
        """Return a stream's events with after < version <= upto, in order."""
        rows = self._fetch(
            "stream" if contents else "stream_facts",
            {"stream": stream, "after": after, "upto": _LAST if upto is None else upto},
        )
        return [StoredEvent(row[0], row[1], row[2], decode(*row[1:])) for row in rows]

    def read_log(
        self,
        after: int,
        limit: int,
        topics: Sequence[str] = (),
        contents: bool = False,
        upto: int | None = None,
        organization: str | None = None,
    ) -> list[StoredRow]:
        """Return events with after < position <= upto, in order."""
        parameters = {
            "after": after,
            "upto": _LAST if upto is None else upto,
            "limit": limit,
            "topics": list(topics),
            "contents": contents,
            "organization": organization,
            "named": None if organization is None else json.dumps(organization).encode(),
        }
        return [StoredRow(*row) for row in self._fetch("log", parameters)]

    def head(self) -> int:
        """Return the last position."""
        ((position,),) = self._fetch("head", ())
        return int(position)

    def log_reader(self) -> LogReader:
        """Open a reader, if it can have one with a connection of its own."""
        if self._pooled:
            return PooledLogReader(
                lambda after, upto, limit: self.read_log(after, limit, upto=upto)
            )
        return PostgresLogReader(self.url, self._dsn, self._sql)

    def put_blob(self, sha256: str, media_type: str, data: bytes) -> None:
        """Keep bytes under their SHA-256."""
        self._fetch("put_blob", (sha256, media_type, data))

    def get_blob(self, sha256: str) -> tuple[str, bytes] | None:
        """Return (media type, bytes), or None."""
        rows = self._fetch("get_blob", (sha256,))
        return (rows[0][0], rows[0][1]) if rows else None

    @contextmanager
    def leadership(self, name: str, seconds: float = SECONDS) -> Iterator[bool]:
        """Hold the named lock for the block; see runledger.store.lease."""
        try:
            lease = self._leases.hold(name, seconds)
            taken = lease.__enter__()
        except OnlyRead:
            # No lease can be written on a standby, and what only reads is in nobody's way.
            yield name == READS
            return
        try:
            yield taken
        finally:
            lease.__exit__(None, None, None)

    def leads(self, name: str) -> bool:
        """Say whether a lease taken by `leadership` still runs."""
        return self._leases.holds(name)

    def take_lease(self, name: str, holder: str, seconds: float) -> bool:
        """Write that `holder` has the lease from now on, unless another's still runs."""
        given = {"name": name, "holder": holder, "seconds": seconds}
        return bool(self._fetch("take_lease", given))

    def release_lease(self, name: str, holder: str) -> None:
        """Write that it is free, if `holder` has it."""
        self._fetch("release_lease", {"name": name, "holder": holder})

    def checkpoint(self, name: str) -> int:
        """Return the position that a follower saved, 0 if it never did."""
        rows = self._fetch("checkpoint", (name,))
        return int(rows[0][0]) if rows else 0

    def save_checkpoint(self, name: str, position: int, read: LogMark | None = None) -> bool:
        """Keep a follower's position, if the log has the event that it has read."""
        return self._transact(partial(save_checkpoint, name=name, position=position, read=read))

    def notes(self, prefix: str) -> dict[str, str]:
        """Return the notes whose names begin so."""
        return dict(self._fetch("notes", (prefix,)))

    def save_note(self, name: str, text: str) -> None:
        """Keep a note."""
        self._fetch("save_note", (name, text))

    @property
    def spans(self) -> SpanTable:
        """The spans that are kept beside the log."""
        return PostgresSpans(self._fetch, self._execute_in)

    def _execute_in(self, epoch: int, name: str, parameters: Any) -> bool:
        """Execute a statement that may be executed twice, through the connection that appends."""
        return self._on_one_connection(
            lambda db: self._recorder.execute_in(epoch, db, name, parameters),
            self._recorder.writing,
        )

    def facts(self) -> dict[str, str]:
        """Return versions and durability settings of the server."""
        ((version, fsync, commit, pages, database, schema),) = self._fetch("settings", ())
        durable = fsync == "on" and commit not in ("off",)
        return {
            "store": "postgresql",
            "database": database,
            "schema": schema,
            "connection": "through a pooler" if self._pooled else "direct",
            "server": version,
            "fsync": fsync,
            "synchronous_commit": commit,
            "full_page_writes": pages,
            "durable": "yes" if durable else "no",
        }

    def tiles(self, after: int, limit: int) -> list[Tile]:
        """Return tiles whose first position is beyond one, in order."""
        if not self._fetch("has_tiles", ())[0][0]:
            return []
        return [Tile(*row) for row in self._fetch("tiles", (after, limit))]

    def tile(self, number: int) -> Tile | None:
        """Return the tile with a number; None if there is none."""
        found = self._fetch("tile", (number,))
        return Tile(*found[0]) if found else None

    def tiles_end(self) -> TilesEnd:
        """Return how many events tiles hold, and up to which position."""
        return TilesEnd(*self._fetch("tiles_end", ())[0])

    def put_tile(self, tile: Tile) -> bool:
        """Keep a tile, if the log has its events."""
        return self._transact(partial(put_tile, tile=tile))

    def damage(self) -> None:
        """Return None: the server checks its pages as it reads them, if it has checksums."""

    def close(self) -> None:
        """Close every connection."""
        self._recorder.close()
        self._recorder.datastore.close()


def _datastore(address: Address, session: bytes, *, pooled: bool) -> PostgresDatastore:
    datastore = PostgresDatastore(
        dbname="",
        host="",
        port="",
        user="",
        password="",
        schema=address.schema,
        originator_id_type="text",
        pool_size=1,
        max_overflow=_POOL_SIZE - 1,
        connect_timeout=30,
    )
    rows = datastore.pool.kwargs["row_factory"]  # type: ignore[index]
    datastore.pool.kwargs = {**address.keywords, "row_factory": rows}
    # In the place of the library's, which sets what would outlive the connection behind a pooler.
    datastore.pool._configure = partial(settle, session=session, pooled=pooled)
    return datastore
