"""`runledger verify`: check the read models against the log."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runledger.cli import printing
from runledger.cli.at_a_server import expect_store
from runledger.cli.options import Json, example
from runledger.cli.settings import ask_operator, given, opened_store

if TYPE_CHECKING:
    from runledger import Operator
    from runledger.store.tiles import Fault

app = typer.Typer()


@app.command(
    epilog=example(
        "runledger verify",
        "runledger verify --sample 500 --json",
        "runledger verify --log",
        "runledger verify --log --checkpoints checkpoints/ --key ledger.key.pub",
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
    checkpoints: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="With --log: against the checkpoints in this folder."),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(metavar="KEY", help="The public key of the checkpoints, or its file."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make rows again from their events and compare them; exit code 1 if anything is wrong.

    With --log, every event is read and compared with its stored hash, which finds damage. With the
    checkpoints that lie outside of the database, it also finds what somebody has changed.
    """
    if (checkpoints is None) != (key is None) or (checkpoints and not log):
        raise typer.BadParameter("expected --log, --checkpoints and --key together")
    if log:
        if sample is not None or everything:
            raise typer.BadParameter("expected --log alone, found --sample or --all beside it")
        if given(ctx).server:
            expect_store(ctx, given(ctx).store, "--log")
        if checkpoints and key:
            _verify_by_checkpoints(ctx, checkpoints, key, as_json)
        else:
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


def _verify_by_checkpoints(ctx: typer.Context, folder: Path, key: str, as_json: bool) -> None:
    from runledger.proofs.checkpoint_folder import CheckpointFolder
    from runledger.proofs.log_check import check_log
    from runledger.proofs.notes import read_verifier

    verifier = read_verifier(key)
    with opened_store(ctx) as store:
        found = check_log(store, CheckpointFolder(folder), verifier)
    faults = [fault._asdict() for fault in found.faults]
    if as_json:
        printing.print_json({**found._asdict(), "faults": faults})
    else:
        _print_faults(found.faults)
        if not found.faults:
            typer.echo(
                f"the first {found.guarded:,} events, up to position {found.position:,}, are those "
                f"of {found.checkpoints:,} checkpoints"
            )
        if found.unguarded:
            typer.echo(
                f"{found.unguarded:,} events are younger than the last checkpoint: unguarded"
            )
    if faults:
        raise typer.Exit(1)


def _print_faults(faults: "list[Fault]") -> None:
    for fault in faults:
        where = "" if fault.position is None else f"position {fault.position:,}: "
        typer.echo(f"WRONG {where}{printing.visible(fault.detail)}")


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
        _print_faults(found)
        if not found:
            typer.echo(f"the events up to position {last:,} are what was recorded")
    if found:
        raise typer.Exit(1)
