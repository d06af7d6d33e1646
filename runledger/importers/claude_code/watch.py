"""Follows the folder in which Claude Code keeps its sessions, and imports what is new."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from runledger.errors import ImportFailed
from runledger.importers.claude_code.importer import ClaudeCodeImport, TurnPlace
from runledger.importers.claude_code.run import ANSWERED
from runledger.importers.claude_code.session import Session, began, sessions
from runledger.importers.report import ImportReport
from runledger.importers.session_end import QUIET


@dataclass(slots=True)
class _Seen:
    """The state of a session that was read: the sizes of its files and the offsets of its turns."""

    sizes: dict[Path, int] = field(default_factory=dict)
    places: list[TurnPlace] = field(default_factory=list)
    due: datetime | None = None
    """The time at which the last answer, or the last turn, counts as complete without a new
    line."""


class ClaudeCodeWatch:
    """Checks the sessions repeatedly; its state only saves work.

    Only the ledger is stored: a watch that was killed starts with the whole folder, and recorded
    events change nothing.
    """

    def __init__(self, importing: ClaudeCodeImport, paths: Sequence[Path]) -> None:
        self._importing = importing
        self._paths = paths
        self._seen: dict[Path, _Seen] = {}

    async def follow(
        self, stopped: asyncio.Event, interval: float, tell: Callable[[ImportReport], None]
    ) -> None:
        """Check every `interval` seconds until `stopped` is set; `tell` gets the report of each
        check.

        Raises:
            ImportFailed: if a path does not exist.
        """
        while not stopped.is_set():
            tell(await self.look())
            try:
                await asyncio.wait_for(stopped.wait(), interval)
            except TimeoutError:
                continue

    async def look(self) -> ImportReport:
        """Import everything new since the last check; return the report of this one.

        Raises:
            ImportFailed: if a path does not exist.
        """
        for path in self._paths:
            if not path.exists():
                raise ImportFailed(f"{path}: expected a folder with sessions, found none")
        report = self._importing.report = ImportReport("runs")
        for session in await asyncio.to_thread(sessions, self._paths):
            await self._session(session)
        return report

    async def _session(self, session: Session) -> None:
        files = {path: _file(path) for path in (session.path, *session.agents)}
        sizes = {path: file.size for path, file in files.items()}
        written_at = max(file.written_at for file in files.values())
        seen = self._seen.get(session.path)
        if seen is not None and seen.sizes == sizes and (seen.due is None or _now() < seen.due):
            return
        offset = _offset(session, seen, sizes) if seen is not None else 0
        places = await self._importing.session(session, offset, written_at=written_at)
        before = [place for place in seen.places if place.offset < offset] if seen else []
        self._seen[session.path] = _Seen(sizes, before + places, _due(places, written_at))


def _offset(session: Session, seen: _Seen, sizes: dict[Path, int]) -> int:
    """Return the offset of the first turn that may have something new."""
    if session.path.suffix == ".gz" or sizes[session.path] < seen.sizes.get(session.path, 0):
        return 0
    offset = seen.places[-1].offset if seen.places else 0
    for path in session.agents:
        if sizes[path] != seen.sizes.get(path):
            at = began(path)
            before = [p.offset for p in seen.places if at is None or p.started_at <= at]
            offset = min(offset, before[-1] if before and at is not None else 0)
    return offset


def _due(places: Sequence[TurnPlace], written_at: datetime) -> datetime | None:
    if not places or places[-1].over:
        return None
    last_at = max(places[-1].last_at, written_at)
    return next((due for wait in (ANSWERED, QUIET) if (due := last_at + wait) > _now()), None)


def _now() -> datetime:
    return datetime.now(UTC)


class _File(NamedTuple):
    size: int
    written_at: datetime


def _file(path: Path) -> _File:
    try:
        found = path.stat()
    except OSError:
        # Deleted since it was found: the import reports it.
        return _File(-1, datetime.min.replace(tzinfo=UTC))
    return _File(found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))
