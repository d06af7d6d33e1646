"""`runledger archive`: the log as Parquet files that never change."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runledger.cli import printing
from runledger.cli.options import Json, example
from runledger.cli.settings import ask_operator

if TYPE_CHECKING:
    from projections.archive.writer import Archived
    from runledger import Operator

app = typer.Typer()


@app.command(
    epilog=example(
        "runledger archive archive/",
        "runledger archive archive/ --verify",
        "runledger replay --from-archive archive/",
    )
)
def archive(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of the archive.")],
    segment_events: Annotated[
        int, typer.Option(min=1, metavar="N", help="Most events per segment.")
    ] = 500_000,
    verify: Annotated[
        bool, typer.Option("--verify", help="Write nothing; read and verify every byte.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Continue the archive in DIR up to the end of the log, or begin it.

    It continues where the last call ended, or was killed. A replay can read it.
    """
    if verify:
        _verify(folder, as_json)
        return

    async def work(operator: "Operator") -> "Archived":
        import asyncio

        from runledger.cli.progress import progress

        head = await asyncio.to_thread(operator.ledger.store.head)
        with progress("archiving", head) as advance:
            return await operator.archive(
                folder,
                segment_events=segment_events,
                progress=lambda count, _position: advance(count),
            )

    done = ask_operator(ctx, work)
    if as_json:
        printing.print_json(done._asdict())
    else:
        typer.echo(
            f"{done.segments:,} segments with {done.events:,} events written; the archive is at "
            f"position {done.position:,}"
        )


def _verify(folder: Path, as_json: bool) -> None:
    from projections.archive.archive import Archive

    # No ledger is opened, because the store may be lost.
    found = Archive(folder)
    found.verify()
    if as_json:
        printing.print_json(found.manifest)
    else:
        typer.echo(
            f"{len(found.manifest.segments):,} segments with {found.events:,} events, up to "
            f"position {found.head:,}: every byte as it was written"
        )
