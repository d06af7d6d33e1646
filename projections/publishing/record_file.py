"""Records in a temporary file, which DuckDB reads as one typed table: for Arrow and Parquet."""

import shutil
import types
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Final, Union, get_args, get_origin

import duckdb
from pydantic import BaseModel

from projections.files.duckdb_connection import connect
from projections.queries.row_file import SQL, rows_in, write_rows
from runledger.errors import LedgerError

_TYPES: Final[dict[object, str]] = {
    str: "VARCHAR",
    bool: "BOOLEAN",
    int: "BIGINT",
    float: "DOUBLE",
    Decimal: "DECIMAL(38, 12)",
    datetime: "TIMESTAMPTZ",
    date: "DATE",
}


class RecordFile:
    """A table of records, of which no more are in memory than are added at once.

    It has `__arrow_c_stream__`, so that pyarrow, polars, pandas, DuckDB and others read it as it
    is. Its file is deleted with it: keep it until it is read.

    Parameters:
        record: the class of the records, whose fields are the columns.
    """

    def __init__(self, record: type[BaseModel]) -> None:
        folder = mkdtemp(prefix="runledger-")
        self._path = Path(folder, "records.jsonl")
        self._file = self._path.open("wb")
        self._columns = column_types(record)
        self._longest = 0
        self._db = connect()
        self._db.execute(SQL["utc"])
        self._forget = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)

    def add(self, records: Iterable[BaseModel]) -> None:
        """Add records to the table."""
        for record in records:
            line = record.model_dump_json().encode() + b"\n"
            self._longest = max(self._longest, len(line))
            self._file.write(line)

    def write(self, path: Path, form: str) -> None:
        """Write the table to a file; `form` is `parquet` or `arrow` (an IPC stream)."""
        self._file.flush()
        with _expect_table():
            write_rows(self._path, path, self._columns, form, self._longest)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Return the table as a stream by Arrow's PyCapsule interface."""
        self._file.flush()
        with _expect_table():
            # A cursor for each reader, as a stream that is not read to its end stays open.
            rows = self._db.cursor().sql(rows_in(self._path, self._columns, self._longest))
        return rows.__arrow_c_stream__(requested_schema)

    def close(self) -> None:
        """Delete the file."""
        self._file.close()
        self._db.close()
        self._forget()


@contextmanager
def _expect_table() -> Iterator[None]:
    try:
        yield
    except duckdb.Error as e:
        raise LedgerError(f"rows: they are no table: {e}") from e


def column_types(record: type[BaseModel]) -> dict[str, str]:
    """Return {column: DuckDB's type} of the fields of a record; what has parts is JSON."""
    return {name: _type(field.annotation) for name, field in record.model_fields.items()}


def _type(annotation: Any) -> str:
    options = [annotation]
    if get_origin(annotation) in (Union, types.UnionType):
        options = [option for option in get_args(annotation) if option is not type(None)]
    if len(options) != 1:
        return "JSON"
    if options[0] == list[str]:
        return "VARCHAR[]"
    if all(isinstance(value, str) for value in get_args(options[0])) and get_args(options[0]):
        return "VARCHAR"  # a Literal of texts
    return _TYPES.get(options[0], "JSON")
