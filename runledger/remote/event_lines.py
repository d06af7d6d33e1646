"""Events as lines, as `export jsonl` writes them, from and to the log of a server."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from pydantic import BaseModel, TypeAdapter

from runledger.errors import ImportFailed, StoreUnavailable
from runledger.importers.report import Advance, ImportReport, Refusal
from runledger.importers.source_file import DAMAGE, SourceFile, opened
from runledger.remote.connection import Connection, ConnectionLost

_LINES: Final = 4_000
_BYTES: Final = 4 << 20


class _Taken(BaseModel):
    recorded: int
    unchanged: int
    refused: int
    refusals: list[Refusal]


_TAKEN: Final = TypeAdapter(_Taken)


class RemoteEventLines:
    """The events of all organizations of a server, for a key of all of them.

    Parameters:
        connection: the connection of the ledger.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def export_lines(self, *, after: int = 0) -> AsyncIterator[bytes]:
        """Yield the lines of the events in the order of the log, each with its end.

        Parameters:
            after: a position of the log; only later events come.

        Raises:
            StoreUnavailable: if the connection is lost, as what came before is not all.
        """
        try:
            async with self._connection.pieces("events", after=after) as pieces:
                left = b""
                async for piece in pieces:
                    *lines, left = (left + piece).split(b"\n")
                    for line in lines:
                        yield line + b"\n"
        except ConnectionLost as e:
            raise StoreUnavailable(
                f"server {self._connection.url!r}: expected all events, found the connection lost "
                f"before the last ({e})"
            ) from e

    async def import_lines(
        self, paths: Sequence[Path], advance: Advance = lambda _: None
    ) -> ImportReport:
        """Have the server record the lines of files, each event once; the rest of what it refuses.

        Parameters:
            paths: files of exported events, plain or gzip.
            advance: called with the bytes of the files that were read since the last call.
        """
        report = ImportReport("events")
        for path in paths:
            try:
                with opened(path) as source:
                    await self._file(path, source, report, advance)
            except ImportFailed as e:
                report.refuse(str(path), e)
        return report

    async def _file(
        self, path: Path, source: SourceFile, report: ImportReport, advance: Advance
    ) -> None:
        before = done = 0
        for lines in _chunks(
            source, lambda e: report.refuse(str(path), f"the file is damaged: {e}")
        ):
            taken = await self._connection.batch(b"".join(lines), _TAKEN, "events")
            report.recorded += taken.recorded
            report.events += taken.recorded
            report.unchanged += taken.unchanged
            for place, reason in taken.refusals:
                number = int(place.removeprefix("line ").replace(",", ""))
                report.refuse(f"{path}: line {before + number:,}", reason)
            # The server names no more than some of them.
            report.refused += taken.refused - len(taken.refusals)
            before += len(lines)
            advance(source.file.tell() - done)
            done = source.file.tell()


def _chunks(source: SourceFile, damaged: Callable[[Exception], None]) -> Iterator[list[bytes]]:
    """Yield the lines of a file, some at a time; a damaged file ends at its damage."""
    chunk: list[bytes] = []
    size = 0
    while True:
        try:
            line = source.stream.readline()
        except DAMAGE as e:
            damaged(e)
            line = b""
        if chunk and (not line or len(chunk) >= _LINES or size + len(line) > _BYTES):
            yield chunk
            chunk, size = [], 0
        if not line:
            return
        chunk.append(line)
        size += len(line)
