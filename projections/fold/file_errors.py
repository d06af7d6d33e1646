"""Translates DuckDB's errors about a file that it cannot use into the ledger's."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import duckdb

from runledger.errors import NotReadModels, ReadModelsDamaged, ReadModelsError

_DAMAGE: Final = re.compile(
    "not a valid DuckDB|[Cc]orrupt database|Could not read enough bytes|"
    "Invalid HyperLogLog register"
)
_READ_ONLY: Final = "Read-only file system"
_FULL: Final = re.compile("No space left on device|Out of disk")

UNREADABLE: Final = (duckdb.IOException, duckdb.InternalException, duckdb.FatalException)
"""The errors that DuckDB raises for a file that it cannot read or write any more."""

_SQLITE: Final = "sqlite_scanner"
"""The extension by which DuckDB reads SQLite files; its error names it as missing."""


@contextmanager
def expect_readable(path: Path) -> Iterator[None]:
    """Translate an error that a damaged file causes in the block; see `unusable`."""
    try:
        yield
    except duckdb.Error as e:
        told = unusable(path, e)
        if isinstance(e, UNREADABLE) or isinstance(told, ReadModelsDamaged):
            raise told from e
        raise


def disk_full(path: Path, error: duckdb.Error) -> ReadModelsError | None:
    """Return the error of a full disk, if this is one: no SQL and no event is to blame for it."""
    found = str(error).partition("\n")[0]
    if not _FULL.search(found):
        return None
    return ReadModelsError(
        f"read models {str(path)!r}: expected room on the disk for what is projected, found it "
        f"full; nothing of the batch was kept: make room, and ask again ({found})"
    )


def damaged(path: Path, error: duckdb.Error) -> ReadModelsDamaged | None:
    """Return the error of a damaged file, if this is one: no SQL and no event is to blame."""
    said = str(error).partition("\n")[0]
    if not _DAMAGE.search(said):
        return None
    return ReadModelsDamaged(
        f"read models {str(path)!r}: {said}; `runledger replay --switch` puts others in their place"
    )


def unusable(path: Path, error: duckdb.Error) -> ReadModelsError:
    """Translate DuckDB's error about a file; ReadModelsDamaged if the file is damaged."""
    if _SQLITE in str(error):
        return NotReadModels(
            f"read models {str(path)!r}: expected a DuckDB file, found a SQLite database; is it "
            f"the store? name another file for the read models"
        )
    if (full := disk_full(path, error)) is not None:
        return full
    said = f"read models {str(path)!r}: {str(error).partition(chr(10))[0]}"
    if _READ_ONLY in said:
        return ReadModelsError(
            f"{said}; expected a file that can be written to: name another place for the read "
            f"models, or the folder of a published copy, which is only read"
        )
    return damaged(path, error) or ReadModelsError(said)
