"""`runledger doctor`: check the installation, the store and the read models."""

import typer

from runledger.cli import printing
from runledger.cli.options import Json, example
from runledger.cli.settings import given

app = typer.Typer()


@app.command(epilog=example("runledger doctor", "runledger doctor --json"))
def doctor(ctx: typer.Context, as_json: Json = False) -> None:
    """Show versions, settings, positions and lag; exit code 1 if something must be repaired."""
    from runledger.health import examine

    checks = examine(given(ctx).store, given(ctx).read_models)
    if as_json:
        printing.print_json([check._asdict() for check in checks])
    else:
        marks = {"ok": "ok   ", "note": "note ", "wrong": "WRONG"}
        width = max(len(check.name) for check in checks)
        for check in checks:
            typer.echo(f"{marks[check.state]} {check.name:<{width}}  {check.found}")
    if any(check.state == "wrong" for check in checks):
        raise typer.Exit(1)
