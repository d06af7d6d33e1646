"""`runledger verify`: are the read models what the log says?"""

from typing import Annotated

import typer

from runledger.cli import printing
from runledger.cli.options import Json, example
from runledger.cli.settings import ask_operator

app = typer.Typer()


@app.command(epilog=example("runledger verify", "runledger verify --sample 500 --json"))
def verify(
    ctx: typer.Context,
    sample: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Only what is said of N runs.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every row; the default.")] = False,
    as_json: Json = False,
) -> None:
    """Make rows again from their events and compare; exit code 1 if anything is wrong."""
    if sample is not None and everything:
        raise typer.BadParameter("expected --sample or --all, found both")
    found = ask_operator(ctx, lambda operator: operator.verify(sample=sample))
    if as_json:
        printing.print_json(found)
    else:
        looked = "all runs" if found.runs is None else f"{found.runs:,} runs"
        typer.echo(
            f"generation {found.number} at position {found.position:,}: {looked}, "
            f"{found.rows:,} rows compared"
        )
        for problem in found.problems:
            typer.echo(f"WRONG {problem.kind}: {printing.visible(problem.detail)}")
        if found.clean:
            typer.echo("the read models are what the log says")
    if not found.clean:
        raise typer.Exit(1)
