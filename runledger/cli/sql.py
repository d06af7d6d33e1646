"""`runledger sql`: the analyst's own questions to the read models."""

from typing import Annotated

import typer

from runledger.cli import printing
from runledger.cli.options import AsOf, Json, example, typed
from runledger.cli.quantities import position_or_moment
from runledger.cli.settings import ask

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
    as_of: AsOf = None,
    as_json: Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV with a header.")] = False,
) -> None:
    """Ask the read models in SQL; nothing can be written. Organizations are not kept apart here.

    It may read whatever file this process may, by DuckDB's functions. In JSON, NaN and infinities
    are null.
    """
    if typed(ctx, "as_json") and typed(ctx, "as_csv"):
        raise typer.BadParameter("expected --json or --csv, found both")
    text = typer.get_text_stream("stdin").read() if statement == "-" else statement
    then = position_or_moment(as_of)
    columns, rows = ask(ctx, lambda ledger: ledger.sql(text, as_of=then), as_of=then)
    if as_csv:
        printing.print_csv(columns, rows)
    elif as_json:
        printing.print_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        printing.print_table(columns, ([_cell(value) for value in row] for row in rows))


def _cell(value: object) -> str:
    return "NULL" if value is None else str(value)
