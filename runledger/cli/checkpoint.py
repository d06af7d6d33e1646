"""`runledger checkpoint`: sign what the log has, outside of its database."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runledger.cli import parsers, printing
from runledger.cli.options import Json, example
from runledger.cli.settings import opened_store

if TYPE_CHECKING:
    from runledger.proofs.checkpoint import Checkpoint

app = typer.Typer(
    name="checkpoint", help="Sign what the log has, outside of its database.", no_args_is_help=True
)


@app.command(
    name="new-key", epilog=example("runledger checkpoint new-key ledger.key --name acme/ledger")
)
def new_key(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file for the private key.")],
    name: Annotated[str, typer.Option(help="What the key signs for; its checkpoints carry it.")],
) -> None:
    """Make a key of Ed25519; the public half goes to FILE.pub, and is printed."""
    from runledger.proofs.notes import new_key as make

    typer.echo(str(make(name, file)))


@app.command(
    epilog=example(
        "runledger checkpoint write checkpoints/ --key ledger.key",
        "runledger checkpoint write checkpoints/ --key ledger.key --every 1h --leaves",
    )
)
def write(
    ctx: typer.Context,
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A new folder, or the one of this log.")
    ],
    key: Annotated[Path, typer.Option(metavar="FILE", help="The private key.")],
    leaves: Annotated[
        bool,
        typer.Option(
            "--leaves", help="Also write 32 bytes per event, to place a difference exactly."
        ),
    ] = False,
    every: Annotated[
        timedelta | None,
        typer.Option(
            parser=parsers.duration,
            metavar="DURATION",
            help="Go on, and sign again after this time if the log has grown.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a signed checkpoint and the tree's new tiles to DIR, which belongs elsewhere.

    It is refused if the log does not continue what the last checkpoint in DIR has.
    """
    import time

    from runledger.proofs.checkpoint_folder import CheckpointFolder
    from runledger.proofs.notes import read_signer
    from runledger.proofs.writing import write_checkpoint

    if every is not None and every <= timedelta():
        raise typer.BadParameter("expected a positive duration", param_hint="'--every'")
    signer, last = read_signer(key), None
    with opened_store(ctx) as store:
        while True:
            made = write_checkpoint(store, CheckpointFolder(folder), signer, leaves=leaves)
            if made != last:
                _print(made, as_json)
            if every is None:
                return
            last = made
            time.sleep(every.total_seconds())


def _print(made: "Checkpoint", as_json: bool) -> None:
    if as_json:
        printing.print_json({**made._asdict(), "root": made.root.hex()})
    else:
        typer.echo(f"{made.origin}: {made.size:,} events, root {made.root.hex()}")
