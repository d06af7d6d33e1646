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
    longest = max(longest, LINE)
    # DuckDB's buffers are twice as long as the longest line that it expects.
    with closing(connect(memory_limit=f"{_MEMORY + 8 * longest}B", threads=1)) as db:
        db.execute(SQL["utc"])
        given = {"path": literal(str(source)), "longest": str(longest)}
        if types is None:
            rows = fill(SQL["as_found"], **given)
        else:
            columns = ", ".join(f"{quoted(name)}: {literal(kind)}" for name, kind in types.items())
            rows = fill(SQL["typed"], **given, columns=columns)
        if form == "parquet":
            db.execute(fill(SQL["parquet"], rows=rows, path=literal(str(target))))
            return
        with target.open("wb") as out, StreamWriter.from_writable(out) as writer:
            writer.write_stream(nanoarrow.c_array_stream(db.sql(rows)))
