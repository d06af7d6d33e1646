"""The library's application recorder on the ledger's own table and append function."""

from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any
from uuid import UUID

import psycopg
from eventsourcing.persistence import (
    ApplicationRecorder,
    IntegrityError,
    StoredEvent,
    Subscription,
)
from eventsourcing.postgres import (
    PostgresApplicationRecorder,
    PostgresDatastore,
    PostgresFactory,
)
from psycopg import sql

from runledger.sql_file import statements
from runledger.store.protocol import (
    Append,
    Conflicted,
    EncodedEvent,
    Recorded,
    StreamWrite,
    Verdict,
)
from runledger.store.subscription import PollingSubscription

SQL = statements(Path(__file__).with_name("queries.sql"))
SCHEMA = Path(__file__).with_name("schema.sql").read_text(encoding="utf-8")
_APPEND = SQL["append"].encode()
_CREATE_SCHEMA = sql.SQL("CREATE SCHEMA IF NOT EXISTS {}")


class LedgerRecorder(PostgresApplicationRecorder):
    """Keeps events in `ledger_events`; `append` is the ledger's door, `insert_events` the library's."""

    def __init__(self, datastore: PostgresDatastore, events_table_name: str = "") -> None:
        super().__init__(datastore, events_table_name="ledger_events")
        self._writer: psycopg.Connection[Any] | None = None
        self._writing = Lock()

    def create_table(self) -> None:
        """Make the schema, tables, triggers and functions that are missing."""
        name = sql.Identifier(self.datastore.schema)
        with self.datastore.transaction(commit=True) as cursor:
            cursor.execute(_CREATE_SCHEMA.format(name))
            cursor.execute(sql.SQL("SET LOCAL search_path TO {}").format(name))
            cursor.execute(SCHEMA.encode())

    def connect(self) -> "psycopg.Connection[tuple[Any, ...]]":
        """Open a connection of its own, outside the pool, in autocommit mode."""
        keywords = dict(self.datastore.pool.kwargs)  # type: ignore[arg-type]
        keywords.pop("row_factory", None)
        connection = psycopg.connect(**keywords, autocommit=True)
        # One PREPARE in the life of the connection; the statement never changes.
        connection.prepare_threshold = 0
        return connection

    def append(self, appends: Sequence[Append]) -> list[Verdict]:
        """Record the appends in one round trip, each with its own verdict.

        Raises psycopg's OperationalError or InterfaceError where the outcome is unknown; the next
        call opens a new connection.
        """
        columns: tuple[list[Any], ...] = ([], [], [], [], [], [])
        request, stream, version, topic, facts, contents = columns
        for number, writes in enumerate(appends):
            for write in writes:
                for place, event in enumerate(write.events, write.expected + 1):
                    request.append(number)
                    stream.append(write.stream)
                    version.append(place)
                    topic.append(event.topic)
                    facts.append(event.facts)
                    contents.append(event.contents)
        with self._writing:
            if self._writer is None or self._writer.closed:
                self._writer = self.connect()
            try:
                rows = self._writer.execute(_APPEND, columns, binary=True).fetchall()
            except (psycopg.OperationalError, psycopg.InterfaceError):
                self._writer.close()
                raise
        return _verdicts(appends, rows)

    def insert_events(self, stored_events: Sequence[StoredEvent], **_: Any) -> Sequence[int] | None:
        """Record the library's events all or not at all; return their positions."""
        if not stored_events:
            return []
        writes: dict[str, StreamWrite] = {}
        for e in stored_events:
            stream = str(e.originator_id) if isinstance(e.originator_id, UUID) else e.originator_id
            known = writes.get(stream) or StreamWrite(stream, e.originator_version - 1, ())
            event = EncodedEvent(e.topic, e.state, None)
            if e.originator_version != known.expected + len(known.events) + 1:
                raise IntegrityError(f"version {e.originator_version} of {stream!r} is out of turn")
            writes[stream] = StreamWrite(stream, known.expected, (*known.events, event))
        with self.datastore.get_connection():  # its words for errors, not the driver's
            (verdict,) = self.append([tuple(writes.values())])
        if isinstance(verdict, Conflicted):
            raise IntegrityError(str(verdict))
        return list(range(verdict.first, verdict.last + 1))

    def subscribe(
        self, gt: int | None = None, topics: Sequence[str] = ()
    ) -> Subscription[ApplicationRecorder]:
        """Follow the log from a position."""
        return PollingSubscription(self, gt, topics)

    def close(self) -> None:
        """Close the writing connection."""
        with self._writing:
            if self._writer is not None:
                self._writer.close()
                self._writer = None


def _verdicts(appends: Sequence[Append], rows: Sequence[tuple[Any, ...]]) -> list[Verdict]:
    conflicts = {row[0]: Conflicted(*row[1:]) for row in reversed(rows) if row[0] is not None}
    (_, _, position, last) = next(row for row in rows if row[0] is None)
    verdicts: list[Verdict] = []
    for number, writes in enumerate(appends):
        if number in conflicts:
            verdicts.append(conflicts[number])
            continue
        size = sum(len(write.events) for write in writes)
        verdicts.append(Recorded(position, position + size - 1))
        position += size
    # Under the lock nobody else draws positions, so those of one call are consecutive.
    if last is not None and position != last + 1:
        raise AssertionError(f"positions up to {last} expected, counted up to {position - 1}")
    return verdicts


class LedgerFactory(PostgresFactory):
    """The library's factory with the ledger's recorder."""

    application_recorder_class = LedgerRecorder
