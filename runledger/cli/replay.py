"""`runledger replay`: project the log again beside live, see what changes and why, switch."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runledger.cli import printing
from runledger.cli.options import Json, example
from runledger.cli.settings import ask_operator

if TYPE_CHECKING:
    from projections.replay import Replayed
    from runledger import RunLedger

app = typer.Typer()
EXCEEDED = 3
"""Exit code where a threshold is exceeded: nothing failed, and nothing was switched."""


@app.command(
    epilog=example(
        "runledger replay",
        "runledger replay --max-changed 0.1% --fail-if-changed runs.status",
        "runledger replay --switch",
    )
)
def replay(
    ctx: typer.Context,
    switch: Annotated[
        bool, typer.Option("--switch", help="Make it live, unless a threshold is exceeded.")
    ] = False,
    max_changed: Annotated[
        str | None, typer.Option(metavar="SHARE", help="Of a table's rows, as 0.1% or 0.001.")
    ] = None,
    fail_if_changed: Annotated[
        list[str] | None,
        typer.Option(metavar="TABLE[.COLUMN]", help="What must not change; may be repeated."),
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="Rows shown per table.")] = 5,
    explain: Annotated[int, typer.Option(min=0, help="Rows explained per table.")] = 1,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Parquet: every value that differs.")
    ] = None,
    keep: Annotated[int, typer.Option(min=0, help="Old generations kept after a switch.")] = 2,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Do not go on with one that was begun before.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Build the read models again and compare them with the live ones: a dry run.

    Live goes on meanwhile, and callbacks are not sent. Exit code 3: a threshold is exceeded.
    """
    from contextlib import ExitStack

    from runledger.cli.progress import progress

    with ExitStack() as bar:

        async def work(ledger: "RunLedger") -> "Replayed":
            advance = [lambda _amount: None]

            def begun(number: int, position: int, head: int) -> None:
                what = f"building generation {number}"
                advance[0] = bar.enter_context(progress(what, head - position))

            return await ledger.replay(
                switch=switch,
                max_changed=max_changed,
                fail_if_changed=fail_if_changed or (),
                limit=limit,
                explain=explain,
                out=out,
                keep=keep,
                fresh=fresh,
                begun=begun,
                progress=lambda count, _position: advance[0](count),
            )

        replayed = ask_operator(ctx, work)
    if as_json:
        printing.print_json(replayed)
    else:
        _print(replayed)
    if replayed.exceeded:
        raise typer.Exit(EXCEEDED)


def _print(replayed: "Replayed") -> None:
    from runledger.cli.comparing import print_comparison

    built = replayed.built
    typer.echo(f"generation {built.number}: built to position {built.position:,}")
    if replayed.comparison is not None:
        print_comparison(replayed.comparison)
    for reason in replayed.exceeded:
        typer.echo(f"exceeded: {reason}")
    if replayed.live is not None:
        typer.echo(f"generation {replayed.live.number} is live")
    else:
        typer.echo(f"not switched; `runledger generations switch {built.number}` does")
    for number in replayed.dropped:
        typer.echo(f"generation {number} dropped")
