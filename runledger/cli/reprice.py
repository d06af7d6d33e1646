"""`runledger reprice`: price recorded steps again, and see what that changes."""

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import typer

from runledger.cli import parsers, printing
from runledger.cli.options import Json, example
from runledger.cli.settings import ask_operator, expect_writable
from runledger.quantities import show_count, show_usd

if TYPE_CHECKING:
    from projections.compare.repricing import KnownAt, Repriced, RepricedGroup

app = typer.Typer()


@app.command(
    epilog=example(
        "runledger reprice --dry-run",
        "runledger reprice --from 2025-08-01",
        "runledger reprice --as-recorded",
    )
)
def reprice(
    ctx: typer.Context,
    since: Annotated[
        datetime | None,
        typer.Option(
            "--from",
            parser=parsers.moment,
            metavar="TIME",
            help="Only steps whose request began then or later.",
        ),
    ] = None,
    known_at: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="POSITION",
            help="By the prices listed up to this position of the log; by all by default.",
        ),
    ] = None,
    as_recorded: Annotated[
        bool,
        typer.Option(
            "--as-recorded",
            help="Each by the prices listed before it, as if it had never been priced again.",
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change; record nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Price recorded steps again by the prices that are listed now, for all organizations.

    It shows which days, models and price rows change, and by how much. The decision is an event;
    another one takes it back.
    """
    if known_at is not None and as_recorded:
        raise typer.BadParameter("expected --known-at or --as-recorded, found both")
    if not dry_run:
        expect_writable(ctx)
    by: KnownAt = "recorded" if as_recorded else "now" if known_at is None else known_at
    done = ask_operator(
        ctx, lambda operator: operator.reprice(since=since, known_at=by, dry_run=dry_run)
    )
    if as_json:
        printing.print_json(done._asdict())
    else:
        _print(done, dry_run)


def _print(done: "Repriced", dry_run: bool) -> None:
    found = done.difference
    if not found.groups:
        typer.echo(f"no cost differs in {found.steps:,} steps, at position {found.position:,}")
        return
    numbers = ("steps", "runs", "before", "after", "difference", "unpriced")
    printing.print_table(
        ["day", "model", *numbers, "price row", "new price row", "organization"],
        map(_row, found.groups),
        right=numbers,
    )
    typer.echo(
        f"\n{found.repriced:,} of {found.steps:,} steps differ, by {_signed(found.difference_usd)}"
    )
    typer.echo(
        f"all known costs: {show_usd(found.old_usd, True)} → {show_usd(found.new_usd, True)}"
    )
    if done.change is not None:
        typer.echo(f"applied at position {done.change.position:,}")
    elif dry_run:
        typer.echo("nothing is recorded; without --dry-run it is")


def _row(group: "RepricedGroup") -> list[str]:
    return [
        group.day.isoformat(),
        printing.visible(group.model or "-"),
        f"{group.steps:,}",
        f"{group.runs:,}",
        show_usd(group.old_usd, not group.old_unpriced_tokens),
        show_usd(group.new_usd, not group.new_unpriced_tokens),
        _signed(group.difference_usd),
        show_count(group.new_unpriced_tokens),
        printing.visible(group.old_row or "-"),
        printing.visible(group.new_row or "-"),
        group.organization,
    ]


def _signed(value: Decimal) -> str:
    return ("+" if value > 0 else "") + show_usd(value, True)
