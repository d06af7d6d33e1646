"""Reads an archive as a log: batches of events whose facts are columns already."""

from collections.abc import Sequence
from typing import Any

import duckdb

from projections.archive import SQL, Archive, ArchivedFile, Segment
from projections.loader import columns_digest


class _Files:
    """The files of an archive, each checked before its first use."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._checked: set[str] = set()

    def check(self, *files: ArchivedFile) -> list[str]:
        """Return the paths; raises ArchiveDamaged for a file that is not the one written."""
        for file in files:
            if file.name not in self._checked:
                self._archive.check(file)
                self._checked.add(file.name)
        return self.paths(*files)

    def paths(self, *files: ArchivedFile) -> list[str]:
        """Return the paths, unchecked."""
        return [str(self._archive.folder / file.name) for file in files]


class ArchivedEvents:
    """Events of some segments with after < position <= upto; see loader.ArchivedEvents."""

    def __init__(self, files: _Files, segments: Sequence[Segment], after: int, upto: int) -> None:
        self._files = files
        self._columns = [segment.columns for segment in segments]
        self._raw = [segment.raw for segment in segments]
        self.typed = {segment.shape for segment in segments} == {columns_digest()}
        self._after = after
        self._upto = upto

    def name(self, db: Any) -> None:
        """Make them readable as `log_batch`."""
        self._choose(db)
        if not self.typed:
            self._files.check(*self._raw)
        db.execute(SQL["typed" if self.typed else "raw"])

    def unread(self, db: Any) -> None:
        """Make the temporary table `unread`."""
        self._choose(db)
        self._files.check(*self._raw)
        db.execute(SQL["unread"])

    def _choose(self, db: Any) -> None:
        """Say which files and positions are meant; every connection has its own variables."""
        db.execute(SQL["columns_of"], {"files": self._files.check(*self._columns)})
        db.execute(SQL["raw_of"], {"files": self._files.paths(*self._raw)})
        db.execute(SQL["after"], {"position": self._after})
        db.execute(SQL["upto"], {"position": self._upto})


class ArchiveReader:
    """A log reader on an archive; every file is checked before its first use."""

    def __init__(self, archive: Archive) -> None:
        self._segments = archive.manifest.segments
        self._files = _Files(archive)
        self._db = duckdb.connect()

    def read(self, after: int, upto: int, limit: int) -> ArchivedEvents | None:
        """Return the events with after < position <= upto, `limit` at most, or None if none are.

        A batch is whole segments where they fit, else a part of one.
        """
        chosen: list[Segment] = []
        events, end = 0, after
        for segment in self._segments:
            if segment.last <= after or segment.after >= upto:
                continue
            if after <= segment.after and segment.last <= upto and events + segment.events <= limit:
                chosen.append(segment)
                events, end = events + segment.events, segment.last
            elif chosen:
                break
            elif (cut := self._cut(segment, after, upto, limit)) is not None:
                chosen, end = [segment], cut
                break
        if not chosen:
            return None
        return ArchivedEvents(self._files, chosen, after, end)

    def _cut(self, segment: Segment, after: int, upto: int, limit: int) -> int | None:
        columns = self._files.check(segment.columns)
        bounds = {"columns": columns, "after": after, "upto": upto, "limit": limit}
        ((position,),) = self._db.execute(SQL["cut"], bounds).fetchall()
        return None if position is None else int(position)

    def close(self) -> None:
        """Let go of the files."""
        self._db.close()
