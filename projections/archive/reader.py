"""Reads an archive as a log: batches of events whose facts are columns already."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import duckdb

from projections.archive.archive import SQL, Archive, ArchivedFile, Segment, Stamp
from projections.files.duckdb_connection import connect
from projections.fold.loader import columns_digest
from runledger.errors import ArchiveDamaged, ArchiveError, StoreUnavailable
from runledger.sql_file import fill, literal

FACTS_EVENTS: Final = 100_000
"""Most events of a batch whose facts must be parsed: they are copied into a table."""


class Files:
    """The files of an archive; each is verified before its first use, and again after a change."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._checked: dict[ArchivedFile, Stamp] = {}

    def stamps(self, *files: ArchivedFile) -> dict[ArchivedFile, Stamp]:
        """Return the stamps of files; raises ArchiveDamaged for one that was altered."""
        for file in files:
            if self._checked.get(file) != self._archive.look(file):
                self._checked[file] = self._archive.check(file)
        return {file: self._checked[file] for file in files}

    def relation(self, files: Iterable[ArchivedFile]) -> str:
        """Return the SQL of their content."""
        return parquet(self._archive.folder / file.name for file in files)

    @contextmanager
    def reading(self, file: ArchivedFile) -> Iterator[str]:
        """Yield the SQL of a file's content to a block that reads it.

        Raises:
            ArchiveDamaged: if the file was altered before or during the block.
            ArchiveError: if the file cannot be read.
        """
        stamps = self.stamps(file)
        try:
            yield self.relation(stamps)
        except (duckdb.Error, UnicodeError) as e:
            self.expect(stamps, bytewise=True)
            path, said = str(self._archive.folder / file.name), str(e).partition("\n")[0]
            raise ArchiveError(f"archive: {path!r}: could not be read: {said}") from e
        self.expect(stamps)

    def expect(self, stamps: Mapping[ArchivedFile, Stamp], *, bytewise: bool = False) -> None:
        """Raise ArchiveDamaged if a file does not have the stamp any more.

        `bytewise` also detects changes made by a faulty disk.
        """
        look = self._archive.check if bytewise else self._archive.look
        for file, stamp in stamps.items():
            if look(file) != stamp:
                raise ArchiveDamaged(
                    f"archive: {str(self._archive.folder / file.name)!r}: expected the file that "
                    f"was there when it was checked, found one that was written to since"
                )


class ArchivedPart:
    """The events of some segments with after < position <= upto."""

    def __init__(self, files: Files, segments: Sequence[Segment], after: int, upto: int) -> None:
        self._files = files
        self._segments = segments
        self._span = {"after": str(after), "upto": str(upto)}
        self._stamps: dict[ArchivedFile, Stamp] = {}

    def facts(self) -> str:
        """Return the SQL of the events, as the log has them."""
        return fill(SQL["facts"], columns=self._columns(), raw=self._raw())

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Raise ArchiveDamaged if a file is altered while the block reads it."""
        try:
            yield
        except duckdb.Error:
            # For a file that is being written to, DuckDB raises the same errors as for a bad value.
            self._files.expect(self._stamps, bytewise=True)
            raise
        self._files.expect(self._stamps)

    def _columns(self) -> str:
        return self._of(segment.columns for segment in self._segments)

    def _raw(self) -> str:
        return self._of(segment.raw for segment in self._segments)

    def _of(self, files: Iterable[ArchivedFile]) -> str:
        stamps = self._files.stamps(*files)
        self._stamps.update(stamps)
        return fill(SQL["part"], files=self._files.relation(stamps), **self._span)


class ArchivedEvents(ArchivedPart):
    """Events with the columns of today's event tables; see loader.ArchivedEvents."""

    def columns(self) -> str:
        """Return the SQL of the events."""
        return fill(SQL["columns"], part=self._columns())

    def unread(self, db: Any) -> None:
        """Make the temporary table `unread`."""
        db.execute(fill(SQL["unread"], part=self._raw()))


class ArchivedFacts(ArchivedPart):
    """Events whose columns were made by another version, so that the facts must be parsed."""


class ArchiveReader:
    """A log reader on an archive; every file is checked before its first use."""

    in_files: Final = True

    def __init__(self, archive: Archive, files: Files | None = None) -> None:
        self._segments = archive.manifest.segments
        self._files = files or Files(archive)
        self._db: Any = connect()

    def read(self, after: int, upto: int, limit: int) -> ArchivedEvents | ArchivedFacts | None:
        """Return the events with after < position <= upto, `limit` at most, or None if none are.

        A batch is whole segments if they fit, otherwise a part of one.
        """
        if self._db is None:
            raise StoreUnavailable("the log reader is closed")
        chosen: list[Segment] = []
        typed, events, end = True, 0, after
        for segment in self._segments:
            if segment.last <= after or segment.after >= upto:
                continue
            kind = segment.shape == columns_digest()
            if chosen and kind != typed:
                break
            typed, most = kind, limit if kind else min(limit, FACTS_EVENTS)
            if after <= segment.after and segment.last <= upto and events + segment.events <= most:
                chosen.append(segment)
                events, end = events + segment.events, segment.last
            elif chosen:
                break
            elif (cut := self._cut(segment, after, upto, most)) is not None:
                chosen, end = [segment], cut
                break
        if not chosen:
            return None
        return (ArchivedEvents if typed else ArchivedFacts)(self._files, chosen, after, end)

    def _cut(self, segment: Segment, after: int, upto: int, limit: int) -> int | None:
        bounds = {"after": after, "upto": upto, "limit": limit}
        with self._files.reading(segment.columns) as columns:
            statement = fill(SQL["cut"], files=columns)
            ((position,),) = self._db.execute(statement, bounds).fetchall()
        return None if position is None else int(position)

    def close(self) -> None:
        """Close the files."""
        if self._db is not None:
            self._db.close()
            self._db = None


def parquet(paths: Iterable[Path]) -> str:
    """Return the SQL of what Parquet files hold."""
    return fill(SQL["files"], paths=", ".join(literal(_exactly(path)) for path in paths))


def _exactly(path: Path) -> str:
    # DuckDB reads a name as a glob pattern, in which brackets escape a character.
    return re.sub(r"([*?[])", r"[\1]", str(path.absolute()))
