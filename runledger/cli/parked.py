"""`runledger parked`: events that could not be applied, and later events of their runs."""

from typing import Annotated

import typer

from runledger.cli import printing
from runledger.cli.options import AsOf, Json, example
from runledger.cli.settings import ask_operator

app = typer.Typer(
    name="parked",
    help="Runs left out of the read models because an event could not be applied.",
    no_args_is_help=True,
)


@app.command("list", epilog=example("runledger parked list --json"))
def list_parked(ctx: typer.Context, as_of: AsOf = None, as_json: Json = False) -> None:
    """List the parked runs, each with the event that could not be applied, and why."""
    found = ask_operator(ctx, lambda operator: operator.parked(as_of=as_of))
    if as_json:
        printing.print_json([parked._asdict() for parked in found])
        return
    numbers = ("position", "version", "events")
    printing.print_table(
        ["stream", *numbers, "topic", "reason"],
        (
            [
                printing.visible(parked.stream),
                f"{parked.position:,}",
                f"{parked.version:,}",
                f"{parked.events:,}",
                printing.visible(parked.topic),
                printing.visible(parked.reason),
            ]
            for parked in found
        ),
        right=numbers,
    )


@app.command(epilog=example("runledger parked retry", "runledger parked retry run-… run-…"))
def retry(
    ctx: typer.Context,
    streams: Annotated[
        list[str] | None, typer.Argument(metavar="[RUN]…", help="These runs; all by default.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Apply parked events, once the cause is removed. Exit code 1: some are still parked."""
    done = ask_operator(ctx, lambda operator: operator.retry_parked(streams or None))
    if as_json:
        left = [parked._asdict() for parked in done.parked]
        printing.print_json({"applied": done.applied, "parked": left})
    else:
        for parked in done.parked:
            where = f"{printing.visible(parked.stream)}: position {parked.position:,}"
            typer.echo(f"still parked: {where}: {printing.visible(parked.reason)}", err=True)
        typer.echo(f"{len(done.applied):,} applied, {len(done.parked):,} still parked")
    if done.parked:
        raise typer.Exit(1)
