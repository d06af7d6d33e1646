"""`runledger replay`: project the log again beside live, see what changes and why, switch."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runledger.cli import parsers, printing
from runledger.cli.options import ExplainRun, Json, Overwrite, example, expect_span
from runledger.cli.parsers import before, moment
from runledger.cli.settings import ask_operator, fields

if TYPE_CHECKING:
    from projections.replay.partial import BlastRadius
    from projections.replay.replay import Replayed
    from runledger import Operator

app = typer.Typer()
EXCEEDED = 3
"""Exit code if a threshold is exceeded: nothing failed, and nothing was switched."""


@app.command(
    epilog=example(
        "runledger replay",
        "runledger replay --max-changed 0.1% --fail-if-changed runs.status",
        "runledger replay --switch",
        "runledger replay --agent agent-support --since 2025-08-01 --until 2025-08-02",
    )
)
def replay(
    ctx: typer.Context,
    switch: Annotated[
        bool, typer.Option("--switch", help="Make it live, unless a threshold is exceeded.")
    ] = False,
    max_changed: Annotated[
        str | None,
        typer.Option(
            parser=parsers.share, metavar="SHARE", help="Of a table's rows, as 0.1% or 0.001."
        ),
    ] = None,
    fail_if_changed: Annotated[
        list[str] | None,
        typer.Option(metavar="TABLE[.COLUMN]", help="Must not change; may be repeated."),
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="Rows shown per table.")] = 5,
    explain: Annotated[int, typer.Option(min=0, help="Rows explained per table.")] = 1,
    explain_run: ExplainRun = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Parquet: every value that differs.")
    ] = None,
    overwrite: Overwrite = False,
    keep: Annotated[int, typer.Option(min=0, help="Old generations kept after a switch.")] = 2,
    changed: Annotated[
        bool, typer.Option("--changed", help="Only read models whose SQL is new or changed.")
    ] = False,
    run: Annotated[
        list[str] | None,
        typer.Option(parser=parsers.run_id, metavar="RUN_ID", help="Partial: a run; repeatable."),
    ] = None,
    agent: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="Partial: its runs; repeatable."),
    ] = None,
    since: Annotated[
        datetime | None,
        typer.Option(
            parser=moment, metavar="TIME", help="Partial: runs with events recorded since."
        ),
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option(
            parser=before,
            metavar="TIME",
            help="Partial: … and before then; a day alone is included (UTC).",
        ),
    ] = None,
    events_of_type: Annotated[
        list[str] | None,
        typer.Option(
            parser=parsers.topic,
            metavar="TOPIC",
            help="Partial: runs with such an event; repeatable.",
        ),
    ] = None,
    from_archive: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Read the log from its archive, and only later events from the store.",
        ),
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Do not continue an unfinished replay.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Build the read models again and compare them with the live ones: a dry run.

    The live ones stay in use meanwhile, and callbacks are not sent. Exit code 3: a threshold is
    exceeded. A partial replay makes again the rows of some runs, and of the totals to which they
    contribute.
    """
    from contextlib import ExitStack

    from projections.archive.log_source import archived_log
    from projections.replay.selection import selection
    from runledger.cli.progress import progress

    asked = fields(
        runs=run,
        agents=agent,
        since=since,
        until=until,
        events_of_type=events_of_type,
    )
    expect_span(exclusive=True, since=since, until=until)
    if changed and (fresh or asked):
        raise typer.BadParameter("expected --changed alone, found --fresh or a part beside it")
    if from_archive is not None and asked:
        raise typer.BadParameter(
            "expected --from-archive for the whole log, found a part of it beside"
        )

    with ExitStack() as bar:

        async def work(operator: "Operator") -> "Replayed":
            advance = [lambda _amount: None]

            def begun(number: int, position: int, head: int) -> None:
                what = f"building generation {number}"
                advance[0] = bar.enter_context(progress(what, head - position))

            return await operator.replay(
                switch=switch,
                max_changed=max_changed,
                fail_if_changed=fail_if_changed or (),
                limit=limit,
                explain=explain,
                explain_runs=explain_run or (),
                out=out,
                overwrite=overwrite,
                keep=keep,
                fresh=fresh,
                only_changed=changed,
                source=None if from_archive is None else archived_log(from_archive),
                selection=selection(**asked) if asked else None,
                on_blast_radius=None if as_json else _print_radius,
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


def _print_radius(radius: "BlastRadius") -> None:
    rows = [f"{count:,} of {table}" for table, count in radius.rows.items() if count]
    typer.echo(
        f"touches {radius.runs:,} runs of {', '.join(radius.organizations) or 'no organization'}"
    )
    typer.echo(f"rows: {', '.join(rows) or 'none'}")
    typer.echo(f"callbacks that will not be sent again: {radius.callbacks:,}")


def _print(replayed: "Replayed") -> None:
    from runledger.cli.comparing import print_comparison

    built = replayed.built
    if built is None:
        typer.echo("the SQL of no read model has changed")
        return
    typer.echo(f"generation {built.number}: built to position {built.position:,}")
    if replayed.untouched_buckets is not None:
        typer.echo(f"{replayed.untouched_buckets:,} buckets of rows proved to be as they were")
    if replayed.comparison is not None:
        print_comparison(replayed.comparison)
    if replayed.not_compared is not None:
        typer.echo(f"not compared: {printing.visible(replayed.not_compared)}")
    for reason in replayed.exceeded:
        typer.echo(f"exceeded: {reason}")
    if replayed.live is not None:
        typer.echo(f"generation {replayed.live.number} is live")
    elif replayed.not_compared is not None:
        typer.echo("not switched; `runledger replay --switch` does")
    else:
        typer.echo(f"not switched; `runledger generations switch {built.number}` does")
    for number in replayed.dropped:
        typer.echo(f"generation {number} dropped")
