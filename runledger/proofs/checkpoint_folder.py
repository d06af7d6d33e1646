"""The folder of checkpoints: notes and tiles of the tree, outside of the database.

Its layout is that of C2SP tlog-tiles, so that public tools read it: `checkpoint`, and
`tile/LEVEL/NUMBER`. Every checkpoint that was ever written stays as `checkpoints/SIZE`.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from runledger.durable_file import only_writer, put_in_place
from runledger.errors import InvalidArgument
from runledger.proofs.checkpoint import Checkpoint, read_checkpoint
from runledger.proofs.merkle import HASH
from runledger.proofs.notes import Verifier
from runledger.store.tiles import WIDTH

_NOTE: Final = "checkpoint"
_NOTES: Final = "checkpoints"
_TILES: Final = "tile"


class CheckpointFolder:
    """Reads and writes a folder of checkpoints; every file is whole or absent."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def expect_ours(self) -> None:
        """Raise InvalidArgument if the folder holds anything else."""
        names = {found.name for found in self.path.iterdir()} if self.path.is_dir() else set()
        strange = {name for name in names if not name.endswith(".part")} - {_NOTE, _NOTES, _TILES}
        if strange or (self.path.exists() and not self.path.is_dir()):
            raise InvalidArgument(
                f"checkpoints: {str(self.path)!r}: expected a new folder or one with checkpoints, "
                f"found {min(strange) if strange else 'a file'}"
            )

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Make the folder, and keep other writers out of it for the block.

        Two at once could leave the older of their checkpoints as the newest. What a killed writer
        left is deleted. Raises ReadModelsLocked while another writes, and InvalidArgument.
        """
        with only_writer(self.path):
            for left in self.path.rglob(".*.part"):
                left.unlink()
            yield

    def latest(self, verifier: Verifier) -> Checkpoint | None:
        """Return the newest checkpoint; None if there is none. Raises InvalidArgument."""
        note = self.note()
        return None if note is None else read_checkpoint(note, verifier)

    def note(self) -> str | None:
        """Return the newest checkpoint as it was signed."""
        path = self.path / _NOTE
        return _read(path).decode() if path.exists() else None

    def all(self, verifier: Verifier) -> list[Checkpoint]:
        """Return every checkpoint, the smallest first. Raises InvalidArgument."""
        found = [
            read_checkpoint(_read(path).decode(), verifier)
            for path in (self.path / _NOTES).glob("*")
            if not path.name.endswith(".part")
        ]
        return sorted(found, key=lambda checkpoint: checkpoint.size)

    def write_note(self, checkpoint: Checkpoint, note: str) -> None:
        """Write a signed checkpoint, which is the newest from now on."""
        _write(self.path / _NOTES / str(checkpoint.size), note.encode())
        _write(self.path / _NOTE, note.encode())

    def hashes(self, level: int, number: int, width: int = WIDTH) -> bytes | None:
        """Return the hashes of a tile; None if it is not there. Raises InvalidArgument."""
        path = self.path / tile_path(level, number, width)
        if not path.exists():
            return None
        found = _read(path)
        if len(found) != width * HASH:
            raise InvalidArgument(
                f"checkpoints: {str(path)!r}: expected {width * HASH} bytes, found {len(found)}"
            )
        return found

    def write_hashes(self, level: int, number: int, hashes: bytes) -> None:
        """Write a tile, full or not."""
        _write(self.path / tile_path(level, number, len(hashes) // HASH), hashes)


def tile_path(level: int, number: int, width: int = WIDTH) -> str:
    """Return the path of a tile; source: c2sp.org/tlog-tiles."""
    rest, last = divmod(number, 1000)
    parts = [f"{last:03}"]
    while rest:
        rest, part = divmod(rest, 1000)
        parts.insert(0, f"x{part:03}")
    partial = "" if width == WIDTH else f".p/{width}"
    return f"{_TILES}/{level}/{'/'.join(parts)}{partial}"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as e:
        raise InvalidArgument(f"checkpoints: {str(path)!r}: cannot be read: {e.strerror}") from e


def _write(path: Path, data: bytes) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(data)
        put_in_place(part, path)
    except OSError as e:
        part.unlink(missing_ok=True)
        raise InvalidArgument(f"checkpoints: {str(path)!r}: not written: {e.strerror}") from e
