"""How every DuckDB database is opened: by what is installed, never by what could be fetched."""

from pathlib import Path
from typing import Any, Final

import duckdb

_CONFIG: Final = {
    # A question, or a file of another kind, must not make a process call home for code.
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}


def connect(path: str | Path = ":memory:", *, read_only: bool = False, **config: Any) -> Any:
    """Open a database, in memory without a path; `config` is DuckDB's own."""
    return duckdb.connect(str(path), read_only=read_only, config={**_CONFIG, **config})
