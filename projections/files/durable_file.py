"""Files that are there whole or not at all, whatever is killed when."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from runledger.errors import InvalidArgument, LedgerError, ReadModelsLocked


@contextmanager
def expect_written(where: Path, error: type[LedgerError]) -> Iterator[None]:
    """Raise what keeps the block from writing, a full disk for instance, as an error of ours."""
    try:
        yield
    except (
        OSError,
        duckdb.IOException,
        duckdb.OutOfMemoryException,
        duckdb.TransactionException,
    ) as e:
        said = str(e).partition("\n")[0]
        raise error(f"{str(where)!r}: could not be written: {said}") from e


def put_in_place(written: Path, path: Path) -> None:
    """Flush a file that was written under another name, and give it its own, atomically."""
    _flush(written)
    os.replace(written, path)
    _flush(path.parent)


def write_text(path: Path, text: str) -> None:
    """Write a small file."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
    put_in_place(part, path)


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Make a folder, and be the only process that writes into it for the block.

    The lock is the kernel's: a killed writer's is gone with it. Raises ReadModelsLocked where
    another holds it, InvalidArgument for what cannot be a folder.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
    except OSError as e:
        raise InvalidArgument(f"{str(folder)!r}: expected a folder to write to: {e}") from e
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as e:
            raise ReadModelsLocked(f"{str(folder)!r}: another process is writing there") from e
        yield
    finally:
        os.close(handle)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
