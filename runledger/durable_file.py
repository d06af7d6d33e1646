"""Files that are written atomically: complete or absent, even if a process is killed."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from runledger.errors import InvalidArgument, ReadModelsLocked


def put_in_place(written: Path, path: Path) -> None:
    """Flush a file that was written under a temporary name, and rename it atomically."""
    flush(written)
    os.replace(written, path)
    flush(path.parent)


@contextmanager
def unfinished(target: Path, *, alone: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside the target; it is renamed to the target after the block.

    The path contains the process id, so that two writers never share it. If the block fails, the
    target stays as it was and the temporary file is deleted; the next writer deletes a file that a
    killed writer left. `alone` says that `only_writer` has locked the folder.
    """
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    sweep(target.parent, f".{target.name}.*.part*", alone=alone)
    with nullcontext() if alone else writing_in(target.parent):
        try:
            yield part
            put_in_place(part, target)
        finally:
            # DuckDB keeps a write-ahead log beside the file that it has open.
            for left in (part, part.with_name(f"{part.name}.wal")):
                with suppress(OSError):
                    left.unlink(missing_ok=True)


def write_text(path: Path, text: str, *, alone: bool = False) -> None:
    """Write a small file; `alone` says that `only_writer` has locked the folder."""
    with unfinished(path, alone=alone) as part:
        part.write_text(text, encoding="utf-8")


@contextmanager
def writing_in(folder: Path) -> Iterator[None]:
    """Prevent sweeping in the folder for the block; other writers are not excluded."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # A folder that cannot be read is not swept either.
        yield
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_SH)
        yield
    finally:
        os.close(handle)


def sweep(folder: Path, *patterns: str, alone: bool = False) -> None:
    """Delete the unfinished files and folders that killed processes left, by their names.

    Nothing is deleted while another process writes there, unless `alone` says that none does.
    """
    if not any(True for pattern in patterns for _ in folder.glob(pattern)):
        return
    with suppress(OSError), only_sweeper(folder, alone=alone) as mine:
        for pattern in patterns if mine else ():
            for left in folder.glob(pattern):
                if left.is_dir():
                    shutil.rmtree(left, ignore_errors=True)
                else:
                    left.unlink(missing_ok=True)


@contextmanager
def only_sweeper(folder: Path, *, alone: bool = False) -> Iterator[bool]:
    """Lock the folder against writers for the block and yield True; False if one is active."""
    if alone:
        yield True
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
    finally:
        os.close(handle)


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Make a folder, and lock it so that no other process writes into it during the block.

    The lock is the kernel's, so it ends with a killed process.

    Raises:
        ReadModelsLocked: if another process has the lock.
        InvalidArgument: if the path cannot be a folder.
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


def flush(path: Path) -> None:
    """Flush a file, or the entries of a folder, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
