"""What prevents a file from being written, as an error of the ledger."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from runledger.errors import LedgerError


@contextmanager
def expect_written(where: Path, error: type[LedgerError]) -> Iterator[None]:
    """Translate an error that prevents the block from writing, such as a full disk, into
    `error`."""
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
