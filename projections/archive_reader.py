"""Reads an archive as a log: batches of events whose facts are columns already."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import duckdb

from projections.archive import SQL, Archive, ArchivedFile, Segment
from projections.loader import columns_digest
from runledger.sql_file import fill, literal

FACTS_EVENTS: Final = 100_000
"""Of a batch whose facts must be parsed, at most: they are put into a table."""


class Files:
    """The files of an archive, each checked before its first use."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._checked: set[str] = set()

    def relation(self, *files: ArchivedFile) -> str:
        """Return the SQL of what they hold; raises ArchiveDamaged for one that was altered."""
        for file in files:
            if file.name not in self._checked:
                self._archive.check(file)
                self._checked.add(file.name)
        return parquet(self._archive.folder / file.name for file in files)


class ArchivedPart:
    """The events of some segments with after < position <= upto."""

    def __init__(self, files: Files, segments: Sequence[Segment], after: int, upto: int) -> None:
        self._files = files
        self._segments = segments
        self._span = {"after": str(after), "upto": str(upto)}

    def facts(self) -> str:
        """Return the SQL of the events, as the log has them."""
        return fill(SQL["facts"], columns=self._columns(), raw=self._raw())

    def _columns(self) -> str:
        return self._of(segment.columns for segment in self._segments)

    def _raw(self) -> str:
        return self._of(segment.raw for segment in self._segments)

    def _of(self, files: Iterable[ArchivedFile]) -> str:
        return fill(SQL["part"], files=self._files.relation(*files), **self._span)


class ArchivedEvents(ArchivedPart):
    """Events with the columns of today's event tables; see loader.ArchivedEvents."""

    def columns(self) -> str:
        """Return the SQL of the events."""
        return fill(SQL["columns"], part=self._columns())

    def unread(self, db: Any) -> None:
        """Make the temporary table `unread`."""
        db.execute(fill(SQL["unread"], part=self._raw()))


class ArchivedFacts(ArchivedPart):
    """Events whose columns were made by another version: the facts are to be parsed."""


class ArchiveReader:
    """A log reader on an archive; every file is checked before its first use."""

    def __init__(self, archive: Archive, files: Files | None = None) -> None:
        self._segments = archive.manifest.segments
        self._files = files or Files(archive)
        self._db = duckdb.connect()

    def read(self, after: int, upto: int, limit: int) -> ArchivedEvents | ArchivedFacts | None:
        """Return the events with after < position <= upto, `limit` at most, or None if none are.

        A batch is whole segments where they fit, else a part of one.
        """
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
        statement = fill(SQL["cut"], files=self._files.relation(segment.columns))
        bounds = {"after": after, "upto": upto, "limit": limit}
        ((position,),) = self._db.execute(statement, bounds).fetchall()
        return None if position is None else int(position)

    def close(self) -> None:
        """Let go of the files."""
        self._db.close()


def parquet(paths: Iterable[Path]) -> str:
    """Return the SQL of what Parquet files hold."""
    return fill(SQL["files"], paths=", ".join(literal(_exactly(path)) for path in paths))


def _exactly(path: Path) -> str:
    # DuckDB takes a name for a pattern, in which brackets make a character stand for itself.
    return re.sub(r"([*?[])", r"[\1]", str(path.absolute()))
