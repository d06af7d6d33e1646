"""`runledger publish`: a copy of the read models for other processes."""

from pathlib import Path
from typing import Annotated

import typer

from runledger.cli import printing
from runledger.cli.options import Json, example
from runledger.cli.settings import ask_operator

app = typer.Typer()


@app.command(
    epilog=example("runledger publish published/", "runledger runs list --read-models published/")
)
def publish(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of the copy.")],
    as_json: Json = False,
) -> None:
    """Write a copy of the read models to DIR/read_models.duckdb, replacing the last one.

    Any number of processes can open it, read-only, while the ledger is in use. A process that has
    the last copy open keeps reading it unchanged.
    """
    done = ask_operator(ctx, lambda operator: operator.publish(folder))
    if as_json:
        printing.print_json(done._asdict())
    else:
        typer.echo(f"{done.path}: read models at position {done.position:,}, {done.size:,} bytes")
