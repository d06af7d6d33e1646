"""Opens the database of a generation with its limits for memory, threads and write-ahead log."""

import re
import shutil
from pathlib import Path
from typing import Any, Final

import duckdb

from projections.files.duckdb_connection import connect
from projections.files.ownership import is_vouched_for, not_read_models
from projections.fold.file_errors import unusable
from runledger.errors import ReadModelsDamaged, ReadModelsError, ReadModelsLocked

CHECKPOINT_THRESHOLD: Final = "128MiB"
"""Size of the write-ahead log at which DuckDB writes a checkpoint. A checkpoint rewrites row groups
that are not full: with the default of 16 MiB, that took longer than the fold in a long replay.
Opening a file with a log of this size takes a second."""

THREADS: Final = 1
"""DuckDB's threads while a log is projected. A batch is dozens of short statements, and each would
wait for a second thread to wake up: on a busy machine that doubles the time until an event is
visible. A long replay has three threads of its own. Published copies and archives are read with
all threads."""


def open_database(path: Path, *, read_only: bool, memory_limit: str, bulk: bool) -> Any:
    """Open the file of a generation.

    Parameters:
        path: the file, or `:memory:`.
        read_only: whether to open it for reading only.
        memory_limit: the limit for DuckDB's buffers, such as `640MiB`.
        bulk: whether batches arrive as columns; DuckDB then uses all its threads.

    Returns:
        The connection.

    Raises:
        ReadModelsLocked: if another process, or a reader in this one, has the file open.
        ReadModelsError: if it cannot be used.
    """
    config: dict[str, Any] = {
        "memory_limit": memory_limit,
        "checkpoint_threshold": CHECKPOINT_THRESHOLD,
    }
    if bulk:
        # A large insert uses all threads only if they need not preserve the order between them.
        # Each thread preserves the order of its own rows, so row groups stay clustered.
        config["preserve_insertion_order"] = False
    elif not read_only:
        config["threads"] = THREADS
    try:
        db = connect(path, read_only=read_only, **config)
        if not read_only:
            # A killed process leaves its spilled pages; no other process has the file open.
            shutil.rmtree(f"{path}.tmp", ignore_errors=True)
        return db
    except duckdb.IOException as e:
        holder = re.search(r"PID (\d+)", str(e))
        if "lock" in str(e).lower():
            raise ReadModelsLocked(
                f"read models {str(path)!r}: expected no other process, found "
                f"{'process ' + holder[1] if holder else 'one'} holding the file; "
                f"ask that process, or read a published copy"
            ) from e
        raise unusable_own(path, e) from e
    except duckdb.ConnectionException as e:
        # DuckDB does not open a file for writing while the same process reads it.
        raise ReadModelsLocked(
            f"read models {str(path)!r}: expected nothing else in this process to hold "
            f"the file, found a reader of it"
        ) from e
    except duckdb.Error as e:
        raise unusable_own(path, e) from e


def unusable_own(path: Path, error: duckdb.Error) -> ReadModelsError:
    """Translate DuckDB's error about a file that may not be the ledger's."""
    told = unusable(path, error)
    if isinstance(told, ReadModelsDamaged) and not is_vouched_for(path):
        return not_read_models(path, "a file that is no DuckDB database, or a damaged one")
    return told
