"""`runledger import …`: bring in what others wrote down."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runledger.cli import printing
from runledger.cli.options import ByFolder, Json, example
from runledger.cli.settings import acting, ask, expect_writable, given

if TYPE_CHECKING:
    from runledger import RunLedger
    from runledger.importers.report import Advance, ImportReport

app = typer.Typer(name="import", help="Bring in transcripts and events.", no_args_is_help=True)

Files = Annotated[
    list[Path],
    typer.Argument(
        metavar="FILE…", help="Files, plain or gzip; - for standard input.", show_default=False
    ),
]

Paths = Annotated[
    list[Path],
    typer.Argument(metavar="PATH…", help="Files or folders; plain or gzip.", show_default=False),
]


@app.command(epilog=example("runledger import tau2 results/*.json.gz"))
def tau2(ctx: typer.Context, files: Files, as_json: Json = False) -> None:
    """Import tau2-bench result files: a simulation is a run. Again changes nothing."""

    async def read(ledger: "RunLedger", advance: "Advance") -> "ImportReport":
        from runledger.importers.tau2.importer import Tau2Import

        return await Tau2Import(ledger.store, ledger.handler, acting(given(ctx))).run(
            files, advance
        )

    _import(ctx, files, read, as_json)


@app.command("claude-code", epilog=example("runledger import claude-code ~/.claude/projects"))
def claude_code(
    ctx: typer.Context, paths: Paths, by_folder: ByFolder = False, as_json: Json = False
) -> None:
    """Import sessions of Claude Code: a prompt and what followed is a run. Again adds what is new.

    A folder is searched for sessions and the files of their sub-agents.
    """

    async def read(ledger: "RunLedger", advance: "Advance") -> "ImportReport":
        from runledger.importers.claude_code.importer import ClaudeCodeImport

        importing = ClaudeCodeImport(
            ledger.store, ledger.handler, acting(given(ctx)), by_folder=by_folder
        )
        return await importing.run(paths, advance)

    _import(ctx, paths, read, as_json)


@app.command(epilog=example("runledger import jsonl events.jsonl.gz --json"))
def jsonl(ctx: typer.Context, files: Files, as_json: Json = False) -> None:
    """Import events in the ledger's own format (`export jsonl`). Again changes nothing."""

    async def read(ledger: "RunLedger", advance: "Advance") -> "ImportReport":
        from runledger.importers.event_lines.importer import EventImport

        return await EventImport(ledger.store, ledger.handler).run(files, advance)

    _import(ctx, files, read, as_json)


def _import(
    ctx: typer.Context,
    files: list[Path],
    read: "Callable[[RunLedger, Advance], Awaitable[ImportReport]]",
    as_json: bool,
) -> None:
    from runledger.cli.progress import progress
    from runledger.importers.source_file import size_of

    expect_writable(ctx)

    async def with_progress(ledger: "RunLedger") -> "ImportReport":
        with progress("importing", size_of(files), "bytes") as advance:
            return await read(ledger, advance)

    try:
        report = ask(ctx, with_progress, read_models=False, create=True)
    except KeyboardInterrupt:
        typer.echo(
            "interrupted: what is recorded stays; the same command brings the rest", err=True
        )
        raise
    if as_json:
        printing.print_json(
            {
                "unit": report.unit,
                "recorded": report.recorded,
                "extended": report.extended,
                "unchanged": report.unchanged,
                "refused": report.refused,
                "events": report.events,
                "refusals": [refusal._asdict() for refusal in report.refusals],
                "not_understood": dict(sorted(report.not_understood.items())),
            }
        )
    else:
        for refusal in report.refusals:
            typer.echo(f"refused: {refusal.place}: {refusal.reason}", err=True)
        hidden = report.refused - len(report.refusals)
        if hidden:
            typer.echo(f"refused: {hidden:,} more", err=True)
        for kind, count in sorted(report.not_understood.items()):
            typer.echo(f"not understood: {count:,} times: {kind}", err=True)
        events = "" if report.unit == "events" else f" ({report.events:,} events)"
        typer.echo(
            f"{report.recorded:,} {report.unit} recorded{events}, "
            f"{f'{report.extended:,} extended, ' if report.extended else ''}"
            f"{report.unchanged:,} were there already, {report.refused:,} refused"
        )
    if report.refused:
        raise typer.Exit(1)
