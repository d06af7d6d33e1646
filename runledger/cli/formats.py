"""The formats of lists: for people, for programs, and for tools that read tables."""

import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any, Final, Protocol

import typer

from runledger.cli import printing
from runledger.cli.options import typed

if TYPE_CHECKING:
    from pydantic import BaseModel

FORMATS: Final = ("table", "json", "jsonl", "csv", "parquet", "arrow", "markdown")
_BINARY: Final = ("parquet", "arrow")
Form = Annotated[
    str | None,
    typer.Option("--format", metavar="FORMAT", help=f"One of {', '.join(FORMATS)}."),
]


class Output(Protocol):
    """Records that are printed while they come."""

    def add(self, records: "Sequence[BaseModel]") -> None:
        """Print some records."""

    def end(self) -> None:
        """Print what comes after the last one."""


def output(
    ctx: typer.Context,
    form: str | None,
    as_json: bool,
    record: "type[BaseModel]",
    table: "Callable[[Sequence[Any]], None]",
    *,
    times_of_sql: bool = False,
) -> Output:
    """Return the output in the format that is asked for.

    Parameters:
        ctx: the context of the command.
        form: the value of --format.
        as_json: the value of --json, which is a shorter way to write --format json.
        record: the class of the records.
        table: prints records as a table for people.
        times_of_sql: True prints times in JSON as `runledger sql` does.

    Raises:
        typer.BadParameter: for an unknown format, for two formats, and for bytes on a terminal.
    """
    if form is not None and form not in FORMATS:
        raise typer.BadParameter(
            f"expected one of {', '.join(FORMATS)}, found {form!r:.40}", param_hint="'--format'"
        )
    if form not in (None, "json") and as_json and typed(ctx, "as_json"):
        raise typer.BadParameter("expected --json or --format, found both")
    chosen = form or ("json" if as_json else "table")
    if chosen in _BINARY and sys.stdout.isatty():
        raise typer.BadParameter(
            f"expected a file or a pipe for {chosen}, found a terminal", param_hint="'--format'"
        )
    match chosen:
        case "table":
            return _Whole(table)
        case "json":
            return _Json(times_of_sql)
        case "jsonl":
            return _Lines()
        case "csv":
            return _Rows(record, printing.print_csv)
        case "markdown":
            return _Rows(record, printing.print_markdown)
    return _Bytes(record, chosen)


class _Whole:
    def __init__(self, table: "Callable[[Sequence[Any]], None]") -> None:
        self._records: list[BaseModel] = []
        self._table = table

    def add(self, records: "Sequence[BaseModel]") -> None:
        self._records += records

    def end(self) -> None:
        self._table(self._records)


class _Json:
    def __init__(self, times_of_sql: bool) -> None:
        self._times_of_sql = times_of_sql
        self._list = printing.JsonList()

    def add(self, records: "Sequence[BaseModel]") -> None:
        if records:
            self._list.add(printing.columns_of(records) if self._times_of_sql else records)

    def end(self) -> None:
        self._list.end()


class _Lines:
    def add(self, records: "Sequence[BaseModel]") -> None:
        for record in records:
            printing.print_json_line(record)

    def end(self) -> None:
        """Print nothing."""


class _Rows:
    def __init__(self, record: "type[BaseModel]", write: Callable[..., None]) -> None:
        self._columns = list(record.model_fields)
        self._write = write
        self._header = True

    def add(self, records: "Sequence[BaseModel]") -> None:
        rows = (list(record.model_dump(mode="json").values()) for record in records)
        self._write(self._columns, rows, header=self._header)
        self._header = False

    def end(self) -> None:
        if self._header:
            self._write(self._columns, [])


class _Bytes:
    def __init__(self, record: "type[BaseModel]", form: str) -> None:
        # Late, as it loads DuckDB.
        from projections.publishing.record_file import RecordFile

        self._file = RecordFile(record)
        self._form = form

    def add(self, records: "Sequence[BaseModel]") -> None:
        self._file.add(records)

    def end(self) -> None:
        # DuckDB writes Parquet by the path of a file alone.
        with TemporaryDirectory(prefix="runledger-") as folder:
            path = Path(folder, "rows")
            self._file.write(path, self._form)
            with path.open("rb") as file:
                shutil.copyfileobj(file, sys.stdout.buffer)
        self._file.close()
