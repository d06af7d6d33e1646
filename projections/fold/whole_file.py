"""Checks that a DuckDB file has all blocks of its tables."""

from pathlib import Path
from typing import Any, Final

from runledger.errors import ReadModelsDamaged
from runledger.sql_file import fill, literal, statements

SQL: Final = statements(Path(__file__).with_name("whole_file.sql"))
_HEADERS: Final = 3 * 4_096
"""Bytes before the first block of a DuckDB file."""


def expect_whole(path: Path, db: Any) -> None:
    """Raise ReadModelsDamaged if a file ends before the last block that is in use.

    `db` is a connection to the file.
    """
    ((block_size,),) = db.execute(SQL["block_size"]).fetchall()
    ((last,),) = db.execute(SQL["last_metadata_block"]).fetchall()
    for (table,) in db.execute(SQL["tables"]).fetchall():
        ((block,),) = db.execute(fill(SQL["last_block"], table=literal(table))).fetchall()
        last = max(last or 0, block or 0)
    found = path.stat().st_size
    if found < (expected := ((last or 0) + 1) * int(block_size) + _HEADERS):
        raise ReadModelsDamaged(
            f"read models {str(path)!r}: expected {expected:,} bytes, found {found:,}; "
            f"`runledger replay --switch` puts others in their place"
        )
