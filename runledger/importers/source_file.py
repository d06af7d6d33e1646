"""A file to import: plain or gzip, by its first bytes, with the number of bytes read so far."""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from runledger.errors import ImportFailed

DAMAGE: Final = (EOFError, OSError, zlib.error, UnicodeDecodeError)
"""What reading a damaged file raises: cut short, not gzip after all, not UTF-8."""


class Bytes(Protocol):
    """What importers need of a binary stream."""

    def read1(self, size: int = -1, /) -> bytes:
        """Return some bytes, none at the end."""

    def readline(self, size: int | None = -1, /) -> bytes:
        """Return a line with its end, empty at the end of the file."""

    def tell(self) -> int:
        """Return the place in the stream."""


class SourceFile(NamedTuple):
    """The unpacked bytes, and the file below, whose place tells the progress."""

    stream: Bytes
    file: Bytes


@contextmanager
def opened(path: Path) -> Iterator[SourceFile]:
    """Open a file for reading; raises ImportFailed where that is not possible."""
    try:
        file = path.open("rb")
    except OSError as e:
        raise ImportFailed(str(e.strerror or e)) from e
    with file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if not packed:
            yield SourceFile(file, file)
            return
        with gzip.GzipFile(fileobj=file) as stream:
            yield SourceFile(stream, file)


def size_of(paths: list[Path]) -> int:
    """Return the bytes of the files together, those that are not there left out."""
    return sum(path.stat().st_size for path in paths if path.is_file())
