"""`runledger restore`: restore the store from a backup."""

from pathlib import Path
from typing import Annotated

import typer

from runledger.cli import printing
from runledger.cli.options import Json, example
from runledger.cli.settings import given

app = typer.Typer()


@app.command(epilog=example("runledger restore backup/", "runledger restore backup/ --replace"))
def restore(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder with a backup.")],
    replace: Annotated[
        bool,
        typer.Option(
            "--replace", help="Keep an existing store under another name, and replace it."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Restore the store from the backup in DIR, and report what is lost.

    Read models that were made from lost events are refused afterwards: `runledger replay --switch`
    makes others.
    """
    from runledger.store.backup import restore as put_back

    restored = put_back(given(ctx).store, folder, replace=replace)
    if as_json:
        printing.print_json(restored)
        return
    typer.echo(f"restored to position {restored.position:,}")
    if restored.before is None:
        return
    if restored.common is None:
        typer.echo("the store that was there holds another log: nothing of it is in the backup")
    elif restored.before > restored.common:
        typer.echo(f"lost: positions {restored.common + 1:,} to {restored.before:,}")
    typer.echo(f"the store that was there is kept as {restored.kept}")
