"""The library's application recorder on the ledger's own table and append function."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from threading import Lock
from typing import Any, Final, TypeAlias

import psycopg
from eventsourcing.persistence import (
    ApplicationRecorder,
    IntegrityError,
    OperationalError,
    StoredEvent,
    Subscription,
)
from eventsourcing.postgres import (
    PostgresApplicationRecorder,
    PostgresDatastore,
    PostgresFactory,
)
from psycopg import sql
from psycopg.errors import UniqueViolation
from psycopg.rows import tuple_row

from runledger.errors import StoreUnavailable
from runledger.store.acknowledged import Acknowledged, Place, to_decide_again
from runledger.store.known_versions import KnownVersions
from runledger.store.postgres.arrays import ByteaArray, Int4Array, Int8Array, TextArray, register
from runledger.store.postgres.statements import queries, tables
from runledger.store.protocol import Append, Conflicted, Recorded, Verdict
from runledger.store.subscription import PollingSubscription

_Connection: TypeAlias = "psycopg.Connection[tuple[Any, ...]]"
ARGUMENTS: Final = (Int4Array, TextArray, Int8Array, TextArray, ByteaArray, ByteaArray)
"""The parameters of ledger_append: request, stream, version, topic, facts, contents."""


class LedgerRecorder(PostgresApplicationRecorder):
    """Keeps events in `ledger_events`; `append` is our door, `insert_events` the library's.

    Streams are text: the datastore must have been made with `originator_id_type="text"`. With
    `pooled`, no setting and no prepared statement is left in a session: another client's statements
    may be next in it.
    """

    def __init__(self, datastore: PostgresDatastore, *, pooled: bool = False, **_: Any) -> None:
        super().__init__(datastore, events_table_name="ledger_events")
        self._sql = queries(datastore.schema)
        self._pooled = pooled
        self._writer: _Connection | None = None
        self._known = KnownVersions()
        self.acknowledged = Acknowledged("postgresql")
        self._timeline: str | None = None
        self._writing = Lock()
        self._closed = False
        self._unchecked = True

    def create_table(self) -> None:
        """Make the schema, tables, triggers and functions that are missing."""
        schema = self.datastore.schema
        with (
            self.datastore.transaction(commit=True) as dict_cursor,
            dict_cursor.connection.cursor(row_factory=tuple_row) as cursor,
        ):
            cursor.execute(self._sql["lock_schema"], (schema,))
            ((there,),) = cursor.execute(self._sql["has_schema"], (schema,)).fetchall()
            if not there:
                cursor.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
            cursor.execute(tables(schema), prepare=False)

    def connect(self) -> _Connection:
        """Open a connection of its own, outside the pool, in autocommit mode."""
        keywords = dict(self.datastore.pool.kwargs)  # type: ignore[arg-type]
        keywords.pop("row_factory", None)
        connection = psycopg.connect(**keywords, autocommit=True)
        register(connection)
        settle(connection, self._sql["session"], pooled=self._pooled)
        if not self._pooled:
            # One PREPARE in the life of the connection; the statements never change.
            connection.prepare_threshold = 0
        return connection

    @contextmanager
    def writing(self) -> Iterator[_Connection]:
        """Give the connection that appends, alone; another one if it was cut."""
        with self._writing:
            if self._closed:
                raise StoreUnavailable("the store is closed")
            if self._writer is None or self._writer.closed:
                self._writer = self.connect()
                self._known = KnownVersions()
                self._unchecked = True
            yield self._writer

    @property
    def connected(self) -> bool:
        """Whether the writing connection lives: then an error was the server's last word."""
        return self._writer is not None and not self._writer.closed

    def append(self, appends: Sequence[Append]) -> list[Verdict]:
        """Record the appends in one round trip, each with its own verdict.

        Raises the driver's errors. Where the connection broke, the outcome is unknown; the next
        call opens another. Where that one finds that the log has gone back, all are conflicts but
        those that were recorded all the same.
        """
        with self.writing() as db:
            # Behind a pooler, another server may answer without a new connection here.
            if self._unchecked or self._pooled:
                lost = self._has_lost(db)
                self._unchecked = False
                if lost:
                    return [
                        self._recorded(db, append) or self._again(db, append) for append in appends
                    ]
            # In a session that is shared the settings that its lock needs are those of a function.
            leads_to = None if self._pooled else self._known.after(appends)
            if leads_to:
                with suppress(UniqueViolation):
                    verdicts = self._insert(db, appends)
                    self._known.learn(leads_to)
                    self.acknowledged.note(appends, verdicts)
                    return verdicts
            verdicts = self._check_and_insert(db, appends)
            self._known.learn_from(appends, verdicts)
            self.acknowledged.note(appends, verdicts)
            return verdicts

    def _insert(self, db: _Connection, appends: Sequence[Append]) -> list[Verdict]:
        """Record all appends, none of which goes on from a version that is not there."""
        columns = zip(*[event for append in appends for event in _events(append)], strict=True)
        arrays = [pack(column) for pack, column in zip(ARGUMENTS[1:], columns, strict=True)]
        ((first, last),) = db.execute(self._sql["insert"], arrays, binary=True).fetchall()
        return _verdicts(appends, first, last, {})

    def _check_and_insert(self, db: _Connection, appends: Sequence[Append]) -> list[Verdict]:
        """Record the appends that agree with their streams."""
        conflicts = {
            request: conflict
            for request, writes in enumerate(appends)
            if len(writes) > 1 and (conflict := _contradiction(writes))
        }
        rows = self._call(
            db,
            [
                (request, *event)
                for request, append in enumerate(appends)
                if request not in conflicts
                for event in _events(append)
            ],
        )
        conflicts |= {row[0]: Conflicted(*row[1:]) for row in reversed(rows) if row[0] is not None}
        (_, _, first, last) = next(row for row in rows if row[0] is None)
        return _verdicts(appends, first, last, conflicts)

    def _call(self, db: _Connection, events: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        columns = list(zip(*events, strict=True)) or [()] * len(ARGUMENTS)
        arrays = [pack(column) for pack, column in zip(ARGUMENTS, columns, strict=True)]
        return db.execute(self._sql["append"], arrays, binary=True).fetchall()

    def execute_in(self, epoch: int, db: _Connection, name: str, parameters: Any) -> bool:
        """Execute a statement in a transaction, unless the log has gone back since an epoch.

        `db` is the writing connection.
        """
        with db.transaction():
            if self.acknowledged.epoch != epoch or self._has_lost(db):
                return False
            db.execute(self._sql[name], parameters, prepare=not self._pooled, binary=True)
        return True

    def _has_lost(self, db: _Connection) -> bool:
        """Look whether another server answers, or one that lacks what was recorded last."""

        def find(position: int) -> Place | None:
            row = db.execute(self._sql["place"], (position,), binary=True).fetchone()
            return None if row is None else Place(*row)

        ((timeline,),) = db.execute(self._sql["timeline"]).fetchall()
        elsewhere = self._timeline is not None and timeline != self._timeline
        self._timeline = timeline
        if lost := self.acknowledged.lost(find, elsewhere=elsewhere):
            self._known = KnownVersions()
        return lost

    def recorded(self, append: Append) -> Recorded | None:
        """Return where the append lies if exactly its events stand at their places.

        Every event has an id of its own, so equal bytes at the expected place are our event.
        """
        with self.writing() as db:
            return self._recorded(db, append)

    def _again(self, db: _Connection, append: Append) -> Conflicted:
        ((found,),) = db.execute(self._sql["version"], (append[0].stream,), binary=True).fetchall()
        return to_decide_again(append, found)

    def _recorded(self, db: _Connection, append: Append) -> Recorded | None:
        positions: list[int] = []
        for write in append:
            for version, event in enumerate(write.events, write.expected + 1):
                place = (write.stream, version)
                row = db.execute(self._sql["stored_event"], place, binary=True).fetchone()
                if row is None or row[1:] != event:
                    return None
                positions.append(row[0])
        return Recorded(min(positions), max(positions))

    def insert_events(self, stored_events: Sequence[StoredEvent], **_: Any) -> Sequence[int] | None:
        """Record the library's events all or not at all; return their positions."""
        events = [
            (0, str(e.originator_id), e.originator_version, e.topic, e.state, None)
            for e in stored_events
        ]
        try:
            with self.writing() as db:
                rows = self._call(db, events)
        except psycopg.IntegrityError as e:
            raise IntegrityError(str(e)) from e
        except psycopg.Error as e:
            raise OperationalError(str(e)) from e
        if len(rows) > 1:
            raise IntegrityError(f"(request, stream, expected, found) {rows}")
        ((_, _, first, last),) = rows
        return [] if first is None else list(range(first, last + 1))

    def subscribe(
        self, gt: int | None = None, topics: Sequence[str] = ()
    ) -> Subscription[ApplicationRecorder]:
        """Follow the log from a position."""
        return PollingSubscription(self, gt, topics)

    def close(self) -> None:
        """Close the writing connection, for good."""
        with self._writing:
            self._closed = True
            if self._writer is not None:
                self._writer.close()
                self._writer = None


def _events(append: Append) -> Iterator[tuple[Any, ...]]:
    return (
        (write.stream, version, *event)
        for write in append
        for version, event in enumerate(write.events, write.expected + 1)
    )


def _contradiction(append: Append) -> Conflicted | None:
    """Return what is wrong within the append; the database compares its first versions alone."""
    left: dict[str, int] = {}
    for write in append:
        found = left.get(write.stream, write.expected)
        if found != write.expected:
            return Conflicted(write.stream, write.expected, found)
        left[write.stream] = found + len(write.events)
    return None


def _verdicts(
    appends: Sequence[Append],
    position: int,
    last: int | None,
    conflicts: Mapping[int, Conflicted],
) -> list[Verdict]:
    verdicts: list[Verdict] = []
    for number, writes in enumerate(appends):
        if number in conflicts:
            verdicts.append(conflicts[number])
            continue
        size = sum([len(write.events) for write in writes])
        verdicts.append(Recorded(position, position + size - 1))
        position += size
    # Under the lock nobody else draws positions, so those of one call are consecutive.
    if last is not None and position != last + 1:
        raise AssertionError(f"positions up to {last} expected, counted up to {position - 1}")
    return verdicts


def settle(connection: Any, session: bytes, *, pooled: bool) -> None:
    """Make a connection ready: our settings, or nothing that would stay in a shared session."""
    connection.autocommit = True
    if pooled:
        connection.prepare_threshold = None
    else:
        connection.execute(session, prepare=False)


class LedgerFactory(PostgresFactory):
    """The library's factory with the ledger's recorder."""

    application_recorder_class = LedgerRecorder
