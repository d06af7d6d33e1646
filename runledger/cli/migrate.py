"""`runledger migrate`: migrate a store to the newest layout, or show the changes."""

from typing import Annotated

import typer

from runledger.cli import printing
from runledger.cli.options import Json, example
from runledger.cli.settings import expect_writable, given

app = typer.Typer()


@app.command(epilog=example("runledger migrate --dry-run", "runledger migrate"))
def migrate(
    ctx: typer.Context,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the changes, and make none.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Migrate the store to the newest layout; stored events stay as they are.

    Read models of an older layout still answer by their own SQL until `runledger replay --switch`.
    """
    from runledger import migration

    expect_writable(ctx)
    settings = given(ctx)
    if not dry_run:
        migration.migrate(settings.store)
    found = migration.changes(settings.store, settings.read_models)
    if as_json:
        printing.print_json([change._asdict() for change in found])
        return
    for change in found:
        if change.found is None:
            typer.echo(f"{change.part}: not there")
            continue
        typer.echo(f"{change.part}: layout {change.found}, the newest is {change.newest}")
        for adds in change.adds:
            typer.echo(f"  adds {adds}")
        if change.by is not None:
            typer.echo(f"  `{change.by}` does")
