"""Imports lines of events into a log, in order, each at its version of its stream, once."""

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from runledger.command_handling.handler import CommandHandler
from runledger.errors import (
    ConcurrentAppend,
    ContentConflict,
    ImportFailed,
    InvalidArgument,
    LedgerError,
    StoreRefused,
    UndecodableEvent,
)
from runledger.events import Event
from runledger.importers.event_lines.format import BlobLine, EventLine, read_line
from runledger.importers.report import Advance, ImportReport
from runledger.importers.source_file import DAMAGE, SourceFile, opened
from runledger.store import Store
from runledger.store.codec import encode
from runledger.store.protocol import Append, Conflicted, StreamWrite

CHUNK_EVENTS: Final = 4_000
CHUNK_BYTES: Final = 8 << 20
"""Bytes that are parsed while the previous chunk is written to the disk."""

_ATTEMPTS: Final = 10


class Placed(NamedTuple):
    """A line and its place in the file."""

    place: str
    line: EventLine


class EventImport:
    """One import; `report` is updated while it runs."""

    def __init__(self, store: Store, handler: CommandHandler) -> None:
        self.report = ImportReport("events")
        self._store = store
        self._handler = handler
        # Streams with a refused event: later events would follow a different history.
        self._broken: set[str] = set()
        # Whether the last chunk had events that exist already: then the next one probably has too.
        self._meets_known = False

    async def run(self, paths: Sequence[Path], advance: Advance = lambda _: None) -> ImportReport:
        """Import the files one after the other; refused content is in the report, the rest is
        imported.

        Raises:
            OnlyRead: if nothing can be recorded; checked before anything is read.
        """
        self._store.expect_writable()
        for path in paths:
            try:
                with opened(path) as source:
                    await self._file(path, source, advance)
            except ImportFailed as e:
                self.report.refuse(str(path), e)
        return self.report

    async def _file(self, path: Path, source: SourceFile, advance: Advance) -> None:
        recording: asyncio.Task[None] | None = None
        chunk: list[Placed] = []
        size = number = done = 0
        while True:
            number += 1
            try:
                line = source.stream.readline()
            except DAMAGE as e:
                self.report.refuse(f"{path}: line {number:,}", f"the file is damaged: {e}")
                line = b""
            if line.strip():
                size += len(line)
                await self._take(f"{path}: line {number:,}", line, chunk)
            if chunk and (not line or len(chunk) >= CHUNK_EVENTS or size >= CHUNK_BYTES):
                if recording is not None:
                    await recording
                advance(source.file.tell() - done)
                done = source.file.tell()
                recording = asyncio.create_task(self._record(chunk))
                # The task can submit its append, which is written while the next lines are read.
                await asyncio.sleep(0)
                chunk, size = [], 0
            if not line:
                break
        if recording is not None:
            await recording

    async def _take(self, place: str, line: bytes, chunk: list[Placed]) -> None:
        try:
            read = read_line(line)
            if isinstance(read, BlobLine):
                await asyncio.to_thread(self._store.put_blob, *read)
            else:
                chunk.append(Placed(place, read))
        except (InvalidArgument, UndecodableEvent, StoreRefused) as e:
            self.report.refuse(place, e)

    async def _record(self, chunk: list[Placed]) -> None:
        verdict = None
        for _ in range(_ATTEMPTS):
            if self._meets_known or verdict is not None or not _is_whole(chunk):
                chunk = await asyncio.to_thread(self._unknown, chunk)
            if not chunk:
                return
            try:
                verdict = await self._handler.append(_append(placed.line for placed in chunk))
            except StoreRefused as e:
                self._refuse_all(chunk, e)
                return
            if not isinstance(verdict, Conflicted):
                self.report.recorded += len(chunk)
                self.report.events += len(chunk)
                return
        assert verdict is not None
        self._refuse_all(chunk, ConcurrentAppend(*verdict))

    def _refuse_all(self, chunk: Iterable[Placed], reason: LedgerError) -> None:
        for place, line in chunk:
            self._broken.add(line.stream)
            self.report.refuse(place, reason)

    def _unknown(self, chunk: Sequence[Placed]) -> list[Placed]:
        """Return the lines to append; count existing ones, refuse invalid ones."""
        extents: dict[str, tuple[int, int]] = {}
        for _, line in chunk:
            first, last = extents.get(line.stream, (line.version, line.version))
            extents[line.stream] = min(first, line.version), max(last, line.version)
        known: dict[str, dict[int, Event | EventLine]] = {}
        for stream, (first, last) in extents.items():
            # Read from the previous version: if that is missing, there is a gap.
            stored = self._store.read_stream(stream, max(0, first - 2), last)
            known[stream] = {row.version: row.event for row in stored}
        unknown = []
        met = False
        for place, line in chunk:
            there = known[line.stream]
            following = max(there, default=0) + 1
            if line.stream in self._broken:
                self._refuse(place, line, "an event before it in its stream was refused")
            elif line.version in there:
                met = True
                if _same(there[line.version], line):
                    self.report.unchanged += 1
                else:
                    key = f"{line.stream} version {line.version}"
                    self._refuse(place, line, ContentConflict("event", key))
            elif line.version != following:
                expected = following if there else "the one after the last that is there"
                self._refuse(place, line, f"version: expected {expected}, found {line.version}")
            else:
                there[line.version] = line
                unknown.append(Placed(place, line))
        self._meets_known = met
        return unknown

    def _refuse(self, place: str, line: EventLine, reason: object) -> None:
        self._broken.add(line.stream)
        self.report.refuse(place, reason)


def _same(known: Event | EventLine, line: EventLine) -> bool:
    """Whether a line equals the stored event; usually comparing bytes suffices, without
    decoding."""
    if isinstance(known, EventLine):
        return known.encoded == line.encoded or known.event() == line.event()
    return encode(known) == line.encoded or known == line.event()


def _is_whole(chunk: Iterable[Placed]) -> bool:
    """Whether the versions of every stream follow each other, as those of an export do."""
    last: dict[str, int] = {}
    for _, line in chunk:
        if last.get(line.stream, line.version - 1) != line.version - 1:
            return False
        last[line.stream] = line.version
    return True


def _append(lines: Iterable[EventLine]) -> Append:
    """Return one append in the order of the lines; adjacent lines of one stream are one write."""
    writes: list[StreamWrite] = []
    events: list[EventLine] = []
    for line in lines:
        if events and events[-1].stream != line.stream:
            writes.append(_write(events))
            events = []
        events.append(line)
    return (*writes, _write(events))


def _write(lines: Sequence[EventLine]) -> StreamWrite:
    first = lines[0]
    return StreamWrite(first.stream, first.version - 1, tuple(line.encoded for line in lines))
