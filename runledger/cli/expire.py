"""`runledger expire`: end abandoned runs and approvals."""

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from runledger.cli import printing
from runledger.cli.options import Json, example
from runledger.cli.parsers import duration
from runledger.cli.settings import ask, expect_writable

if TYPE_CHECKING:
    from runledger import RunLedger

app = typer.Typer()


@app.command(
    epilog=example("runledger expire --older-than 1h", "runledger expire --approvals --json")
)
def expire(
    ctx: typer.Context,
    older_than: Annotated[
        timedelta | None,
        typer.Option(
            parser=duration,
            metavar="DURATION",
            help="Fail the open runs without an event for this time.",
        ),
    ] = None,
    approvals: Annotated[
        bool, typer.Option("--approvals", help="Deny the tool calls whose deadline has passed.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Fail inactive runs as lost, and deny approvals whose deadline has passed."""
    if older_than is None and not approvals:
        raise typer.BadParameter("expected --older-than DURATION, or --approvals, or both")

    async def both(ledger: "RunLedger") -> dict[str, list[str]]:
        return {
            "runs": [] if older_than is None else await ledger.expire_runs(older_than=older_than),
            "approvals": await ledger.expire_approvals() if approvals else [],
        }

    expect_writable(ctx)
    expired = ask(ctx, both)
    if as_json:
        printing.print_json(expired)
        return
    for run_id in expired["runs"]:
        typer.echo(f"{run_id}  failed as lost")
    for run_id in expired["approvals"]:
        typer.echo(f"{run_id}  open tool calls denied")
    typer.echo(f"{len(expired['runs'])} runs, {len(expired['approvals'])} approvals expired")
