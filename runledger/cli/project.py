"""`runledger project`: bring the read models up to date."""

import typer

from runledger.cli import printing
from runledger.cli.options import Json, example
from runledger.cli.settings import ask

app = typer.Typer()


@app.command(epilog=example("runledger project", "runledger project --json"))
def project(ctx: typer.Context, as_json: Json = False) -> None:
    """Catch up with the log. Queries do so by themselves; this only does it earlier."""

    reached = ask(ctx, lambda ledger: ledger.project())
    if as_json:
        printing.print_json({"position": reached})
    else:
        typer.echo(f"read models are at position {reached:,}")
