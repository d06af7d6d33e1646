"""`runledger sql`: an analyst's own queries on the read models."""

from collections.abc import Iterable, Sequence
from itertools import chain, count
from typing import TYPE_CHECKING, Annotated

import typer

from runledger.cli import printing
from runledger.cli.options import AsOf, Json, example, typed
from runledger.cli.settings import ask

if TYPE_CHECKING:
    from runledger import RunLedger

app = typer.Typer()


@app.command(
    epilog=example(
        "runledger sql 'SELECT status, count(*) FROM runs GROUP BY ALL'",
        "runledger sql --csv 'SELECT name, status FROM tool_calls' > calls.csv",
        "runledger sql < question.sql",
    )
)
def sql(
    ctx: typer.Context,
    statement: Annotated[
        str, typer.Argument(metavar="SELECT", help="One SELECT in DuckDB's SQL; - reads stdin.")
    ] = "-",
    view: Annotated[
        str | None, typer.Option(metavar="NAME", help="Ask a saved view instead of SELECT.")
    ] = None,
    as_of: AsOf = None,
    as_json: Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV with a header.")] = False,
) -> None:
    """Query the read models in SQL; nothing can be written. All organizations are included.

    By DuckDB's functions, it may read any file that this process may read. In JSON, NaN and
    infinities are null, and a second column of the same name is name_1. JSON and CSV are written
    row by row, independent of their number; a table is kept in memory as a whole.
    """
    if typed(ctx, "as_json") and typed(ctx, "as_csv"):
        raise typer.BadParameter("expected --json or --csv, found both")
    if view is not None and statement != "-":
        raise typer.BadParameter("expected SELECT or --view, found both")
    given = statement
    if statement == "-" and view is None:
        given = typer.get_text_stream("stdin").read()
    shown = printing.print_csv if as_csv else _print_json if as_json else _print_table

    async def answer(ledger: "RunLedger") -> None:
        from runledger.ledger.named_view import text_of

        text = given if view is None else await text_of(ledger, view, "sql")
        await ledger.sql_rows(text, shown, as_of=as_of)

    ask(ctx, answer, as_of=as_of)


def _print_json(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    names = _distinct(columns)
    printing.print_json_list(dict(zip(names, row, strict=True)) for row in rows)


def _print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    printing.print_table(columns, ([_cell(value) for value in row] for row in rows))


def _distinct(columns: Sequence[str]) -> list[str]:
    """Return the names of columns, repeated ones numbered, as in DuckDB's data frames."""
    names: list[str] = []
    for column in columns:
        again = (f"{column}_{number}" for number in count(1))
        names.append(next(name for name in chain([column], again) if name not in names))
    return names


def _cell(value: object) -> str:
    return "NULL" if value is None else str(value)
