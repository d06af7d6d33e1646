"""A file or pipe to import: plain or gzip, by its first bytes, with a count of bytes read."""

import gzip
import io
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from runledger.errors import ImportFailed

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

STANDARD_INPUT: Final = Path("-")
DAMAGE: Final = (EOFError, OSError, zlib.error, UnicodeDecodeError)
"""The errors of reading a damaged file: truncated, not gzip, not UTF-8."""
_PACKED: Final = b"\x1f\x8b"


class Bytes(Protocol):
    """The methods of a binary stream that importers use."""

    def read1(self, size: int = -1, /) -> bytes:
        """Return some bytes, none at the end."""

    def readline(self, size: int | None = -1, /) -> bytes:
        """Return a line with its end, empty at the end of the file."""

    def tell(self) -> int:
        """Return the offset in the stream."""

    def seek(self, place: int, /) -> int:
        """Move to an offset in the stream."""


class SourceFile(NamedTuple):
    """The decompressed bytes, and the underlying file, whose offset is the progress."""

    stream: Bytes
    file: Bytes


class _Pipe(io.RawIOBase):
    """A pipe, which cannot be read twice: its first bytes are kept. It counts bytes for tell()."""

    def __init__(self, file: io.BufferedReader) -> None:
        self._file = file
        self._place = 0
        self.head = self._kept = file.read(2)

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        """Fill a buffer with some bytes; return how many, 0 at the end."""
        room = memoryview(buffer).cast("B")
        some = self._kept[: len(room)] or self._file.read1(len(room))
        self._kept = self._kept[len(some) :]
        room[: len(some)] = some
        self._place += len(some)
        return len(some)

    def tell(self) -> int:
        """Return the bytes read so far."""
        return self._place


@contextmanager
def opened(path: Path) -> Iterator[SourceFile]:
    """Open a file or pipe for reading, standard input for `-`.

    Raises:
        ImportFailed: if it cannot be opened.
    """
    try:
        file: io.BufferedReader
        file = os.fdopen(os.dup(0), "rb") if path == STANDARD_INPUT else path.open("rb")
    except OSError as e:
        raise ImportFailed(str(e.strerror or e)) from e
    with file:
        if file.seekable():
            packed = file.read(2) == _PACKED
            file.seek(0)
        else:
            pipe = _Pipe(file)
            packed, file = pipe.head == _PACKED, io.BufferedReader(pipe)
        if not packed:
            yield SourceFile(file, file)
            return
        with gzip.GzipFile(fileobj=file) as stream:
            yield SourceFile(stream, file)


def size_of(paths: list[Path]) -> int:
    """Return the total size of the files, including files in folders; missing ones count as 0."""
    files = (one for path in paths for one in (path.rglob("*") if path.is_dir() else [path]))
    return sum(one.stat().st_size for one in files if one.is_file())
