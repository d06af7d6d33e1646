"""The SQLite store: appends through the recorder, reads through connections of their own."""

import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

from eventsourcing.sqlite import SQLiteDatastore

from runledger.errors import OnlyRead, StoreUnavailable
from runledger.store.codec import decode
from runledger.store.lease import SECONDS, Leases
from runledger.store.log_mark import LogMark
from runledger.store.protocol import LOCK_SECONDS, READS, Append, StoredEvent, StoredRow, Verdict
from runledger.store.schema_version import SCHEMA_VERSION, check_version
from runledger.store.spans import SpanTable
from runledger.store.sqlite.driver_errors import translated
from runledger.store.sqlite.file_identity import file_identity
from runledger.store.sqlite.log_reader import SQLiteLogReader
from runledger.store.sqlite.read_only import Reading, only_read, open_to_read
from runledger.store.sqlite.recorder import LAST, SQL, LedgerRecorder, Written
from runledger.store.sqlite.spans import SQLiteSpans
from runledger.store.tiles import Tile, TilesEnd


class SQLiteStore:
    """One file, any number of processes; see runledger.store.protocol.Store."""

    def __init__(self, url: str, *, create: bool = True) -> None:
        self.url = url
        self.path = url.removeprefix("sqlite:///")
        if not self.path or ":memory:" in self.path:
            raise StoreUnavailable(
                f"store {url!r}: expected the path of a file; a ledger in memory would lose events"
            )
        file = Path(self.path)
        self._only_read = only_read(self.path)
        if not file.parent.is_dir():
            raise StoreUnavailable(f"store {url!r}: no such directory {str(file.parent)!r}")
        if not create and not file.exists():
            raise StoreUnavailable(f"store {url!r}: no such file {self.path!r}")
        if not file.exists() and not os.access(file.parent, os.W_OK):
            raise StoreUnavailable(
                f"store {url!r}: expected a folder that can be written to, found "
                f"{str(file.parent)!r}, which cannot"
            )
        with translated(url):
            there, current = self._look()
            if not there and not create:
                raise StoreUnavailable(f"store {url!r}: no ledger in file {self.path!r}")
            self._recorder = LedgerRecorder(
                SQLiteDatastore(self.path, originator_id_type="text", pool_size=1, max_overflow=0)
            )
            if not there:
                self.expect_writable()
            if not current and not self._only_read:
                self._recorder.create_table()
            self._absolute = os.path.abspath(self.path)
            self._open_reader()
        self._reading = Lock()
        self._has_spans = False
        self._leases = Leases(self)

    def _open_reader(self) -> None:
        self._reader: Reading | None = open_to_read(self.url, self._absolute)
        self._opened = file_identity(self._absolute)

    def _look(self) -> tuple[bool, bool]:
        """Whether the file holds a ledger of a layout known here, and whether of today's.

        Changes nothing in the file.
        """
        found = "0"
        if self._only_read:
            looking = open_to_read(self.url, self.path).db
        else:
            looking = sqlite3.connect(self.path, timeout=LOCK_SECONDS)
        with closing(looking) as db:
            there, anything = db.execute(SQL["has_tables"]).fetchone()
            if there:
                (found,) = db.execute(SQL["schema_version"]).fetchone()
                check_version(self.url, found)
            elif anything:
                raise StoreUnavailable(
                    f"store {self.url!r}: expected a new file or a ledger's, found a SQLite "
                    f"database of another program; it was left as it is: choose another path"
                )
        return bool(there), int(found) == SCHEMA_VERSION

    @property
    def epoch(self) -> int:
        """How often the log was found to have gone back."""
        return self._recorder.acknowledged.epoch

    def expect_writable(self) -> None:
        """Raise OnlyRead where the file or its folder cannot be written to."""
        if self._only_read:
            raise OnlyRead(self.url, "a file or folder that can only be read")

    def append(self, appends: Sequence[Append]) -> list[Verdict]:
        """Record the appends in one transaction, each with its own verdict."""
        self.expect_writable()
        with translated(self.url):
            return self._recorder.append(appends)

    def _fetch(self, name: str, parameters: Any) -> list[tuple[Any, ...]]:
        with translated(self.url), self._reading:
            if self._reader is None:
                raise StoreUnavailable("the store is closed")
            if file_identity(self._absolute) != self._opened:
                # Another file lies there now: a restored backup.
                self._reader.db.close()
                self._open_reader()
            rows = self._reader.db.execute(SQL[name], parameters).fetchall()
            self._reader.expect_as_opened()
            return rows

    def read_stream(
        self, stream: str, after: int = 0, upto: int | None = None, contents: bool = True
    ) -> list[StoredEvent]:
        """Return a stream's events with after < version <= upto, in order."""
        rows = self._fetch(
            "stream" if contents else "stream_facts",
            {"stream": stream, "after": after, "upto": LAST if upto is None else upto},
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
            "upto": LAST if upto is None else upto,
            "limit": limit,
            "topics": json.dumps(list(topics)),
            "contents": contents,
            "organization": organization,
            "named": None if organization is None else json.dumps(organization).encode(),
        }
        return [StoredRow(*row) for row in self._fetch("log", parameters)]

    def head(self) -> int:
        """Return the last position."""
        ((position,),) = self._fetch("head", ())
        return int(position)

    def log_reader(self) -> SQLiteLogReader:
        """Open a reader with a connection of its own."""
        return SQLiteLogReader(self.url, self.path)

    def put_blob(self, sha256: str, media_type: str, data: bytes) -> None:
        """Keep bytes under their SHA-256."""
        self.expect_writable()
        with translated(self.url):
            self._recorder.put_blob(sha256, media_type, data)

    def get_blob(self, sha256: str) -> tuple[str, bytes] | None:
        """Return (media type, bytes), or None."""
        rows = self._fetch("get_blob", (sha256,))
        return (rows[0][0], rows[0][1]) if rows else None

    @contextmanager
    def leadership(self, name: str, seconds: float = SECONDS) -> Iterator[bool]:
        """Hold the named lease for the block; see runledger.store.lease."""
        if self._only_read:
            # No lease could be written, and what only reads is in nobody's way.
            yield name == READS
            return
        with self._leases.hold(name, seconds) as taken:
            yield taken

    def leads(self, name: str) -> bool:
        """Say whether a lease taken by `leadership` still runs."""
        return self._leases.holds(name) or (self._only_read and name == READS)

    def take_lease(self, name: str, holder: str, seconds: float) -> bool:
        """Write that `holder` has the lease from now on, unless another's still runs."""
        with translated(self.url):
            return self._recorder.take_lease(name, holder, seconds)

    def release_lease(self, name: str, holder: str) -> None:
        """Write that it is free, if `holder` has it."""
        with translated(self.url):
            self._recorder.release_lease(name, holder)

    def checkpoint(self, name: str) -> int:
        """Return the position that a follower saved, 0 if it never did."""
        rows = self._fetch("checkpoint", (name,))
        return int(rows[0][0]) if rows else 0

    def save_checkpoint(self, name: str, position: int, read: LogMark | None = None) -> bool:
        """Keep a follower's position, if the log has the event that it has read."""
        self.expect_writable()
        with translated(self.url):
            return self._recorder.save_checkpoint(name, position, read)

    def notes(self, prefix: str) -> dict[str, str]:
        """Return the notes whose names begin so."""
        return dict(self._fetch("notes", {"prefix": prefix}))

    def save_note(self, name: str, text: str) -> None:
        """Keep a note."""
        self.expect_writable()
        with translated(self.url):
            self._recorder.save_note(name, text)

    @property
    def spans(self) -> SpanTable:
        """The spans that are kept beside the log; the tables of an older store are made."""
        if not self._only_read and not self._has_spans:
            with translated(self.url):
                self._recorder.create_table()
            self._has_spans = True
        return SQLiteSpans(self._fetch, self._execute)

    def _execute(self, written: Written, epoch: int | None = None) -> bool:
        self.expect_writable()
        with translated(self.url):
            return self._recorder.execute(written, epoch)

    def facts(self) -> dict[str, str]:
        """Return versions and durability settings."""
        ((journal,),) = self._fetch("journal_mode", ())
        if self._only_read:
            # Nothing is written that could be lost, and SQLite gives an immutable file no mode.
            journal = "read only"
        ((synchronous,),) = self._fetch("synchronous", ())
        return {
            "store": "sqlite",
            "file": self.path,
            "sqlite": sqlite3.sqlite_version,
            "journal_mode": journal,
            "synchronous": {0: "off", 1: "normal", 2: "full", 3: "extra"}[synchronous],
            "durable": "yes" if journal in ("wal", "read only") and synchronous >= 2 else "no",
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
        self.expect_writable()
        with translated(self.url):
            return self._recorder.put_tile(tile)

    def damage(self) -> str | None:
        """Return the first fault of pages, indexes or rows that SQLite finds."""
        ((found, *_), *_) = self._fetch("integrity_check", ())
        return None if found == "ok" else str(found)

    def close(self) -> None:
        """Close every connection."""
        with self._reading:
            if self._reader is not None:
                self._reader.db.close()
                self._reader = None
        self._recorder.close()
        self._recorder.datastore.close()
