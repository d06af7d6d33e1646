"""`runledger verify`: check the read models against the log."""

from typing import TYPE_CHECKING, Annotated

import typer

from runledger.cli import printing
from runledger.cli.options import Json, example
from runledger.cli.settings import ask_operator

if TYPE_CHECKING:
    from runledger import Operator
    from runledger.store.tiles import Fault

app = typer.Typer()


@app.command(
    epilog=example(
        "runledger verify", "runledger verify --sample 500 --json", "runledger verify --log"
    )
)
def verify(
    ctx: typer.Context,
    sample: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Only the rows of N runs.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every row; the default.")] = False,
    log: Annotated[
        bool, typer.Option("--log", help="The events themselves, against their stored hashes.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make rows again from their events and compare them; exit code 1 if anything is wrong.

    With --log, every event is read and compared with its stored hash.
    """
    if log:
        if sample is not None or everything:
            raise typer.BadParameter("expected --log alone, found --sample or --all beside it")
        _verify_log(ctx, as_json)
        return
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


def _verify_log(ctx: typer.Context, as_json: bool) -> None:
    from runledger.store.tiles import damaged

    async def work(operator: "Operator") -> "tuple[int, list[Fault]]":
        import asyncio

        store = operator.ledger.store
        end = await asyncio.to_thread(store.tiles_end)
        return end.last, await asyncio.to_thread(lambda: list(damaged(store)))

    last, found = ask_operator(ctx, work)
    if as_json:
        printing.print_json({"position": last, "faults": [fault._asdict() for fault in found]})
    else:
        for fault in found:
            where = "" if fault.position is None else f"position {fault.position:,}: "
            typer.echo(f"WRONG {where}{printing.visible(fault.detail)}")
        if not found:
            typer.echo(f"the events up to position {last:,} are what was recorded")
    if found:
        raise typer.Exit(1)
