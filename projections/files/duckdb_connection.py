"""Opens every DuckDB database: with installed extensions only, never with downloaded ones."""

import resource
import time
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Final

import duckdb

from runledger.errors import ReadModelsError
from runledger.sql_file import statements

SQL: Final = statements(Path(__file__).with_suffix(".sql"))
ADDRESS_SPACE: Final = 1_200 * 10**6
"""Address space of a process with DuckDB: libraries, stacks of threads, and 640 MiB of buffers."""

_CONFIG: Final = {
    # A query, or a file of another kind, must not make DuckDB download an extension.
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}


def connect(path: str | Path = ":memory:", *, read_only: bool = False, **config: Any) -> Any:
    """Open a database, in memory without a path; `config` are DuckDB's settings.

    Raises:
        ReadModelsError: if the process may have less address space than DuckDB needs.
    """
    _expect_address_space(path)
    return duckdb.connect(str(path), read_only=read_only, config={**_CONFIG, **config})


def draw_no_bar(db: Any) -> None:
    """Turn off DuckDB's progress bar for long statements on a connection.

    In a notebook without ipywidgets DuckDB draws none, and refuses the setting.
    """
    ((draws,),) = db.execute(SQL["draws_bar"]).fetchall()
    if draws:
        db.execute(SQL["draw_no_bar"])


def close_busy(db: Any) -> None:
    """Close a connection; a statement that another thread still executes there, as for a copy that
    is no longer wanted, is interrupted."""
    while True:
        try:
            db.close()
            return
        except duckdb.ResourceInUseException:
            db.interrupt()
            time.sleep(0.01)


def _expect_address_space(path: str | Path) -> None:
    # Below it, what DuckDB cannot allocate ends now in an error and now in a crash of the process.
    allowed, _ = resource.getrlimit(resource.RLIMIT_AS)
    if allowed != resource.RLIM_INFINITY and allowed < ADDRESS_SPACE:
        raise ReadModelsError(
            f"read models {str(path)!r}: expected an address space of {ADDRESS_SPACE // 10**6} MB "
            f"or more for DuckDB, found a limit of {allowed // 10**6} MB: raise it (ulimit -v)"
        )


class Parsed:
    """A connection that parses a text once, however often it is executed.

    A small batch is dozens of short statements, the same ones each time; parsing them again would
    take DuckDB a seventh of the batch's time.
    """

    def __init__(self, db: Any) -> None:
        self._db = db
        # Bounded, as some texts name the files or positions of one batch.
        self._parse = lru_cache(maxsize=256)(partial(_parse, db))

    def execute(self, sql: str, parameters: object = None) -> Any:
        """Execute a text, as DuckDB's connection does."""
        return self._db.execute(self._parse(sql), parameters)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)


def _parse(db: Any, sql: str) -> Any:
    found = db.extract_statements(sql)
    return found[0] if len(found) == 1 else sql
