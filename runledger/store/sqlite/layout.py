"""The layout of a SQLite store, read without changing it."""

from contextlib import closing
from pathlib import Path

from runledger.store.sqlite.driver_errors import translated
from runledger.store.sqlite.read_only import open_to_read
from runledger.store.sqlite.recorder import SQL

_BEGINNING = "sqlite:///"


def stored_layout(url: str) -> int | None:
    """Return the number of the layout, or None if no ledger is there.

    Parameters:
        url: sqlite:///path.

    Raises:
        StoreUnavailable: if the file cannot be read.
    """
    path = url.removeprefix(_BEGINNING)
    if not Path(path).exists():
        return None
    with translated(url), closing(open_to_read(url, path).db) as db:
        there, _ = db.execute(SQL["has_tables"]).fetchone()
        return int(db.execute(SQL["schema_version"]).fetchone()[0]) if there else None
