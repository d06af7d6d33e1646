"""An archive as a store that can be read: `archive:DIR`."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from threading import Lock
from typing import Any, Final, NoReturn

from projections.archive.archive import SQL, Archive, Segment
from projections.archive.reader import ArchiveReader, Files
from projections.files.duckdb_connection import connect
from runledger.errors import OnlyRead, StoreUnavailable
from runledger.sql_file import fill
from runledger.store import Store, absolute, open_store
from runledger.store.checked_reader import CheckedLogReader
from runledger.store.codec import decode
from runledger.store.event_list import END_OF_LOG
from runledger.store.log_mark import LogMark
from runledger.store.protocol import READS, Append, LogReader, StoredEvent, StoredRow, Verdict
from runledger.store.tiles import Tile, TilesEnd

SCHEME: Final = "archive:"


def open_log(url: str, *, create: bool = True) -> Store:
    """Open the store at a URL, or the archive in the folder of `archive:DIR`.

    Raises the errors of `runledger.store.open_store`, ArchiveError and ArchiveDamaged.
    """
    if url.startswith(SCHEME):
        return ArchiveStore(absolute_url(url))
    return open_store(url, create=create)


def absolute_url(url: str) -> str:
    """Return the URL of a log with an absolute path; URLs without a path as they are."""
    if url.startswith(SCHEME) and (folder := url.removeprefix(SCHEME)):
        return f"{SCHEME}{Path(folder).absolute()}"
    return absolute(url)


def checked_log(store: Store) -> LogReader:
    """Open a reader that notices events which are not what was recorded.

    The files of an archive have digests of their own.
    """
    return store.log_reader() if isinstance(store, ArchiveStore) else CheckedLogReader(store)


class ArchiveStore:
    """The archived part of a log as a store for reading; methods that write raise OnlyRead.

    Images that messages refer to are not in an archive. Segments that are archived after it was
    opened are not visible.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.epoch = 0
        self._archive = Archive(url.removeprefix(SCHEME))
        self._files = Files(self._archive)
        self._db: Any = connect()
        self._closed = False
        self._reading = Lock()

    def read_stream(
        self, stream: str, after: int = 0, upto: int | None = None, contents: bool = True
    ) -> list[StoredEvent]:
        """Return a stream's events with after < version <= upto, in order."""
        self._open_db()
        asked = {"stream": stream, "after": after, "upto": END_OF_LOG if upto is None else upto}
        segments = self._archive.manifest.segments
        rows = [row for s in segments for row in self._rows(s, "stream", asked, contents)]
        return [
            StoredEvent(row.position, row.stream, row.version, decode(*row[1:])) for row in rows
        ]

    def read_log(
        self,
        after: int,
        limit: int,
        topics: Sequence[str] = (),
        contents: bool = False,
        upto: int | None = None,
        organization: str | None = None,
    ) -> list[StoredRow]:
        """Return events with after < position <= upto, in order, of these topics or of all."""
        self._open_db()
        upto = END_OF_LOG if upto is None else upto
        found: list[StoredRow] = []
        for segment in self._archive.manifest.segments:
            if segment.last > after and segment.after < upto and len(found) < limit:
                left = limit - len(found)
                asked = {
                    "after": after,
                    "upto": upto,
                    "topics": list(topics),
                    "organization": organization,
                    "limit": left,
                }
                found += self._rows(segment, "range", asked, contents)
        return found

    def _rows(
        self, segment: Segment, which: str, asked: dict[str, Any], contents: bool
    ) -> Iterator[StoredRow]:
        # DuckDB cannot close a connection that another thread uses, so `close` acquires the lock
        # too.
        with self._reading:
            db = self._open_db()
            with self._files.reading(segment.columns) as columns:
                found = db.execute(fill(SQL[which], files=columns), asked).fetchall()
            if not found:
                return
            wanted = {"positions": [row[0] for row in found]}
            with self._files.reading(segment.raw) as raw:
                statement = fill(SQL["bytes_and_contents" if contents else "bytes"], files=raw)
                recorded = db.execute(statement, wanted).fetchall()
        bodies = {position: rest for position, *rest in recorded}
        for row in found:
            yield StoredRow(*row, *bodies[row[0]])

    def _open_db(self) -> Any:
        if self._closed:
            raise StoreUnavailable("the store is closed")
        return self._db

    def head(self) -> int:
        """Return the last position that is archived."""
        self._open_db()
        return self._archive.head

    def log_reader(self) -> ArchiveReader:
        """Open a reader of the archive."""
        self._open_db()
        return ArchiveReader(self._archive, self._files)

    def get_blob(self, _sha256: str) -> None:
        """Return None: an archive has none."""
        self._open_db()

    def leadership(self, name: str, _seconds: float = 0.0) -> AbstractContextManager[bool]:
        """Yield True for reading only; callbacks are not sent from an archive."""
        return nullcontext(name == READS)

    def leads(self, name: str) -> bool:
        """Return True for reading only."""
        return name == READS

    def checkpoint(self, _name: str) -> int:
        """Return 0: an archive has no followers."""
        self._open_db()
        return 0

    def notes(self, _prefix: str) -> dict[str, str]:
        """Return none: they concern stores that can be written to."""
        self._open_db()
        return {}

    def facts(self) -> dict[str, str]:
        """Return the facts that `doctor` shows."""
        self._open_db()
        return {
            "archive": str(self._archive.folder),
            "segments": f"{len(self._archive.manifest.segments):,}",
            "durable": "yes",
        }

    def tiles(self, _after: int, _limit: int) -> list[Tile]:
        """Return nothing: the files of an archive have digests of their own."""
        return []

    def tile(self, _number: int) -> None:
        """Return None: there are none."""

    def tiles_end(self) -> TilesEnd:
        """Return that tiles hold nothing."""
        return TilesEnd(0, 0, 0)

    def put_tile(self, _tile: Tile) -> bool:
        """Raise OnlyRead."""
        self.expect_writable()

    def damage(self) -> None:
        """Return None: `archive --verify` reads every byte of an archive."""

    def expect_writable(self) -> NoReturn:
        """Raise OnlyRead."""
        raise OnlyRead(self.url)

    def append(self, _appends: Sequence[Append]) -> list[Verdict]:
        """Raise OnlyRead."""
        self.expect_writable()

    def put_blob(self, _sha256: str, _media_type: str, _data: bytes) -> None:
        """Raise OnlyRead."""
        self.expect_writable()

    def save_checkpoint(self, _name: str, _position: int, _read: LogMark | None = None) -> bool:
        """Raise OnlyRead."""
        self.expect_writable()

    @property
    def spans(self) -> NoReturn:
        """Raise OnlyRead: an archive has only events."""
        self.expect_writable()

    def save_note(self, _name: str, _text: str) -> None:
        """Raise OnlyRead."""
        self.expect_writable()

    def close(self) -> None:
        """Close the files, once no thread reads them."""
        # Set first: a lock is not fair, and continued readers could delay `close` for long.
        self._closed = True
        with self._reading:
            self._db.close()
