"""The library's application recorder on the ledger's own table and its own append."""

import json
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from itertools import chain
from pathlib import Path
from threading import Lock
from typing import Any, Final
from uuid import UUID

from eventsourcing.persistence import (
    ApplicationRecorder,
    IntegrityError,
    Notification,
    OperationalError,
    StoredEvent,
    Subscription,
)
from eventsourcing.sqlite import SQLiteApplicationRecorder, SQLiteDatastore, SQLiteFactory

from runledger.errors import StoreUnavailable
from runledger.sql_file import statements
from runledger.store.acknowledged import Acknowledged, Place, to_decide_again
from runledger.store.bound_writes import Fetch, put_tile, save_checkpoint
from runledger.store.known_versions import KnownVersions
from runledger.store.log_mark import LogMark
from runledger.store.protocol import LOCK_SECONDS, Append, Conflicted, Recorded, Verdict
from runledger.store.sqlite.driver_errors import busy
from runledger.store.sqlite.file_identity import FileIdentity, file_identity
from runledger.store.subscription import PollingSubscription
from runledger.store.tiles import Tile

SQL = statements(Path(__file__).with_name("queries.sql"))
SCHEMA = Path(__file__).with_name("schema.sql").read_text(encoding="utf-8")
LAST = 2**63 - 1
Written = Sequence[tuple[str, Sequence[Any]]]
"""Statements by their names, each with its rows."""
_ROWS: Final = 64
WAL_PAGES: Final = 8_000
"""Pages of 4 KiB that the write-ahead log takes before they are moved to the file: at SQLite's
default, 1,000, the pages of indexes are moved many times more often."""
_WAL_BYTES: Final = 64 << 20
"""What remains of the write-ahead log after a reader has kept it from being moved."""


def connect(path: str) -> sqlite3.Connection:
    """Open a connection that flushes at every commit and waits for other processes' appends."""
    db = sqlite3.connect(
        path, timeout=LOCK_SECONDS, isolation_level=None, check_same_thread=False, uri=False
    )
    try:
        _use_wal(db)
        db.execute("PRAGMA synchronous = FULL")
        db.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES}")
        db.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}")
    except BaseException:
        db.close()
        raise
    return db


def _use_wal(db: sqlite3.Connection) -> None:
    # SQLite does not wait for this lock, whatever the timeout: two processes that turn a file to
    # WAL at once would deadlock, so one of them is told "locked" without delay.
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as e:
            if not busy(e) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


class LedgerRecorder(SQLiteApplicationRecorder):
    """Keeps events in `ledger_events`; `append` is our door, `insert_events` the library's."""

    def __init__(self, datastore: SQLiteDatastore) -> None:
        super().__init__(datastore, events_table_name="ledger_events")
        self._writer: sqlite3.Connection | None = None
        self._known = KnownVersions()
        self.acknowledged = Acknowledged(datastore.pool.db_name)
        # Before the working directory changes.
        self._path = os.path.abspath(datastore.pool.db_name)
        self._opened: FileIdentity | None = None
        self._writing = Lock()
        self._closed = False

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        with self._writing:
            if self._closed:
                raise StoreUnavailable("the store is closed")
            if self._writer is not None and file_identity(self._path) != self._opened:
                # Another file lies there now, a restored backup: what is appended to the old one
                # would be in no directory.
                self._writer.close()
                self._writer = None
            if self._writer is None:
                self._writer = connect(self._path)
                self._opened = file_identity(self._path)
                self._known = KnownVersions()
            try:
                yield self._writer
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._connection() as db:
            # IMMEDIATE takes the write lock before the versions are read: no other process can
            # commit between the check and the insert.
            db.execute("BEGIN IMMEDIATE")
            yield db
            db.execute("COMMIT")

    def create_table(self) -> None:
        """Make the tables and triggers that are missing."""
        with self._connection() as db:
            db.executescript(SCHEMA)

    def append(self, appends: Sequence[Append]) -> list[Verdict]:
        """Record the appends in one transaction, each with its own verdict.

        All of them are conflicts where the file has lost what this process was told is recorded.
        """
        # Refused: another process has gone on with a stream.
        with suppress(sqlite3.IntegrityError):
            return self._append(appends, self._known.after(appends))
        return self._append(appends, None)

    def _append(self, appends: Sequence[Append], leads_to: dict[str, int] | None) -> list[Verdict]:
        """Do it without a look at the streams, if it is known which versions it leads to."""
        with self._transaction() as db:
            if self._has_lost(db):
                streams = json.dumps([append[0].stream for append in appends])
                found = db.execute(SQL["stream_versions"], (streams,)).fetchall()
                return [
                    to_decide_again(append, version)
                    for append, (version,) in zip(appends, found, strict=True)
                ]
            if leads_to:
                rows = [row for append in appends for row in _rows(append)]
                verdicts = _verdicts(appends, [None] * len(appends), _insert(db, rows))
            else:
                verdicts = _check_and_insert(db, appends)
            self._known.learn_from(appends, verdicts)
        # Only what was committed: the disk may be full.
        self.acknowledged.note(appends, verdicts)
        return verdicts

    def _has_lost(self, db: sqlite3.Connection) -> bool:
        """Look whether the last event that was recorded is there, under the lock for writing."""

        def find(position: int) -> Place | None:
            row = db.execute(SQL["place"], (position,)).fetchone()
            return None if row is None else Place(row[0], row[1], bytes(row[2]))

        if lost := self.acknowledged.lost(find):
            self._known = KnownVersions()
        return lost

    def put_blob(self, sha256: str, media_type: str, data: bytes) -> None:
        """Keep bytes under their SHA-256."""
        with self._transaction() as db:
            db.execute(SQL["put_blob"], (sha256, media_type, data))

    def put_tile(self, tile: Tile) -> bool:
        """Keep a tile, if the log has its events."""
        with self._transaction() as db:
            return put_tile(_fetching(db), tile)

    def save_checkpoint(self, name: str, position: int, read: LogMark | None) -> bool:
        """Keep a follower's position, if the log has the event that it has read."""
        with self._transaction() as db:
            return save_checkpoint(_fetching(db), name, position, read)

    def save_note(self, name: str, text: str) -> None:
        """Keep a note."""
        with self._transaction() as db:
            db.execute(SQL["save_note"], (name, text))

    def execute(self, written: Written, epoch: int | None = None) -> bool:
        """Execute statements in one transaction, unless the log has gone back since an epoch."""
        with self._transaction() as db:
            if epoch is not None and (self.acknowledged.epoch != epoch or self._has_lost(db)):
                return False
            for name, rows in written:
                db.executemany(SQL[name], rows)
        return True

    def take_lease(self, name: str, holder: str, seconds: float) -> bool:
        """Write that `holder` has the lease from now on; return False while another has it."""
        given = {"name": name, "holder": holder, "seconds": seconds, "now": time.time()}
        with self._transaction() as db:
            return db.execute(SQL["take_lease"], given).rowcount == 1

    def release_lease(self, name: str, holder: str) -> None:
        """Write that the lease is free, if `holder` has it."""
        with self._transaction() as db:
            db.execute(SQL["release_lease"], {"name": name, "holder": holder})

    def insert_events(self, stored_events: Sequence[StoredEvent], **_: Any) -> Sequence[int] | None:
        """Record the library's events all or not at all; return their positions."""
        rows = [
            (_text(e.originator_id), e.originator_version, e.topic, e.state, None)
            for e in stored_events
        ]
        try:
            with self._transaction() as db:
                first = _insert(db, rows)
        except sqlite3.IntegrityError as e:
            raise IntegrityError(e) from e
        except sqlite3.OperationalError as e:
            raise OperationalError(e) from e
        return list(range(first, first + len(rows)))

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        """Return events by position, as the library sees them."""
        first = 0 if start is None else start + (not inclusive_of_start)
        bounds = {
            "first": first,
            "last": LAST if stop is None else stop,
            "topics": json.dumps(list(topics)),
            "limit": limit,
        }
        with self.datastore.transaction(commit=False) as cursor:
            cursor.execute(SQL["notifications"], bounds)
            return [
                Notification(
                    id=position,
                    originator_id=self.convert_originator_id(stream),
                    originator_version=version,
                    topic=topic,
                    state=state,
                )
                for position, stream, version, topic, state in cursor.fetchall()
            ]

    def max_notification_id(self) -> int | None:  # type: ignore[override]
        """Return the last position, None for an empty log."""
        with self.datastore.transaction(commit=False) as cursor:
            cursor.execute(SQL["head"])
            return cursor.fetchone()[0] or None

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


def _check_and_insert(db: sqlite3.Connection, appends: Sequence[Append]) -> list[Verdict]:
    """Record the appends that agree with their streams."""
    # One statement for all streams: a statement for each takes three times as long.
    streams = list({write.stream for append in appends for write in append})
    found = db.execute(SQL["stream_versions"], (json.dumps(streams),)).fetchall()
    versions = {stream: version for stream, (version,) in zip(streams, found, strict=True)}
    conflicts = [_conflict(append, versions) for append in appends]
    rows = [
        row
        for append, conflict in zip(appends, conflicts, strict=True)
        if conflict is None
        for row in _rows(append)
    ]
    return _verdicts(appends, conflicts, _insert(db, rows))


def _conflict(append: Append, versions: Mapping[str, int]) -> Conflicted | None:
    left: dict[str, int] = {}
    for write in append:
        stands = left.get(write.stream, versions[write.stream])
        if stands != write.expected:
            return Conflicted(write.stream, write.expected, stands)
        left[write.stream] = write.expected + len(write.events)
    return None


def _fetching(db: sqlite3.Connection) -> Fetch:
    return lambda name, parameters: db.execute(SQL[name], parameters).fetchall()


def _rows(append: Append) -> Iterator[tuple[Any, ...]]:
    return (
        (write.stream, version, *event)
        for write in append
        for version, event in enumerate(write.events, write.expected + 1)
    )


def _verdicts(
    appends: Sequence[Append], conflicts: Sequence[Conflicted | None], position: int
) -> list[Verdict]:
    verdicts: list[Verdict] = []
    for append, conflict in zip(appends, conflicts, strict=True):
        if conflict is not None:
            verdicts.append(conflict)
            continue
        size = sum([len(write.events) for write in append])
        verdicts.append(Recorded(position, position + size - 1))
        position += size
    return verdicts


def _insert(db: sqlite3.Connection, rows: Sequence[tuple[Any, ...]]) -> int:
    """Insert the events; return the position of the first.

    Many rows a statement, because the interpreter lock is let go once for each: with executemany
    a busy event loop would take it away at every row. Few enough that every length has a prepared
    statement in the connection's cache.
    """
    for begin in range(0, len(rows), _ROWS):
        piece = rows[begin : begin + _ROWS]
        db.execute(_insert_statement(len(piece)), [*chain.from_iterable(piece)])
    # Within one transaction AUTOINCREMENT numbers are consecutive: nobody else can insert.
    (last,) = db.execute("SELECT last_insert_rowid()").fetchone()
    return int(last) - len(rows) + 1


@cache
def _insert_statement(rows: int) -> str:
    return f"{SQL['insert_events']} {', '.join([SQL['event_row']] * rows)}"


def _text(originator_id: UUID | str) -> str:
    return originator_id.hex if isinstance(originator_id, UUID) else originator_id


class LedgerFactory(SQLiteFactory):
    """The library's factory with the ledger's recorder."""

    application_recorder_class = LedgerRecorder  # type: ignore[assignment]
