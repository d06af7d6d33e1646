"""`runledger backup`: a copy of the store while it is in use."""

from pathlib import Path
from typing import Annotated

import typer

from runledger.cli import printing
from runledger.cli.options import Json, example
from runledger.cli.settings import given

app = typer.Typer()


@app.command(epilog=example("runledger backup backup/"))
def backup(
    ctx: typer.Context,
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A new folder, or one with a backup to replace.")
    ],
    as_json: Json = False,
) -> None:
    """Copy the store into DIR while others write to it: the log as of one moment, and images.

    Read models and archives are not in it: they are made from the log. For PostgreSQL it prints the
    PostgreSQL command to use.
    """
    from runledger.store.backup import back_up

    made = back_up(given(ctx).store, folder)
    if as_json:
        printing.print_json(made)
    else:
        typer.echo(f"backed up to position {made.position:,}: {made.size:,} bytes in {folder}")
