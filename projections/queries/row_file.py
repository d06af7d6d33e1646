"""Rows as files that data tools read: Parquet and Arrow, from lines of JSON."""

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Final

import nanoarrow
from nanoarrow.ipc import StreamWriter

from projections.files.duckdb_connection import connect
from runledger.sql_file import fill, literal, quoted, statements

SQL: Final = statements(Path(__file__).with_suffix(".sql"))
LINE: Final = 1 << 20
_MEMORY: Final = 256 << 20
"""Bytes: what DuckDB may take, and more for lines that are longer than LINE."""


def rows_in(source: Path, types: Mapping[str, str] | None, longest: int) -> str:
    """Return the SELECT of the rows of a file; for the parameters, see write_rows."""
    given = {"path": literal(str(source)), "longest": str(max(longest, LINE))}
    if types is None:
        return fill(SQL["as_found"], **given)
    columns = ", ".join(f"{quoted(name)}: {literal(kind)}" for name, kind in types.items())
    return fill(SQL["typed"], **given, columns=columns)


def write_rows(
    source: Path, target: Path, types: Mapping[str, str] | None, form: str, longest: int
) -> None:
    """Write rows as Parquet, or as an IPC stream of Arrow.

    Parameters:
        source: lines of JSON, each an object.
        target: the file to write.
        types: the type of each column, or None to take those that the values have.
        form: `parquet` or `arrow`.
        longest: how many bytes the longest line has.
    """
    rows = rows_in(source, types, longest)
    # DuckDB's buffers are twice as long as the longest line that it expects.
    memory = _MEMORY + 8 * max(longest, LINE)
    with closing(connect(memory_limit=f"{memory}B", threads=1)) as db:
        db.execute(SQL["utc"])
        if form == "parquet":
            db.execute(fill(SQL["parquet"], rows=rows, path=literal(str(target))))
            return
        with target.open("wb") as out, StreamWriter.from_writable(out) as writer:
            writer.write_stream(nanoarrow.c_array_stream(db.sql(rows)))
