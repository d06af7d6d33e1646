"""`runledger import …`: import runs that other programs recorded."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from runledger.cli import printing
from runledger.cli.options import ByFolder, Json, example
from runledger.cli.settings import acting, ask, at_server, expect_writable, given

if TYPE_CHECKING:
    from runledger import RunLedger
    from runledger.importers.recognition import Format
    from runledger.importers.report import Advance, ImportReport

_T = TypeVar("_T")

app = typer.Typer(name="import", help="Import transcripts and events.", no_args_is_help=True)

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

        if given(ctx).server:
            return await at_server(ledger).import_lines(files, advance)
        return await EventImport(ledger.store, ledger.handler).run(files, advance)

    _import(ctx, files, read, as_json)


@app.command(epilog=example("runledger import codex ~/.codex/sessions"))
def codex(
    ctx: typer.Context, paths: Paths, by_folder: ByFolder = False, as_json: Json = False
) -> None:
    """Import sessions of Codex: a prompt and what followed is a run. Again adds what is new."""

    async def read(ledger: "RunLedger", advance: "Advance") -> "ImportReport":
        from runledger.importers.codex.importer import CodexImport

        importing = CodexImport(
            ledger.store, ledger.handler, acting(given(ctx)), by_folder=by_folder
        )
        return await importing.run(paths, advance)

    _import(ctx, paths, read, as_json)


@app.command(epilog=example("runledger import pi ~/.pi/agent/sessions"))
def pi(
    ctx: typer.Context, paths: Paths, by_folder: ByFolder = False, as_json: Json = False
) -> None:
    """Import sessions of pi: a prompt and what followed is a run. Again adds what is new."""

    async def read(ledger: "RunLedger", advance: "Advance") -> "ImportReport":
        from runledger.importers.pi.importer import PiImport

        importing = PiImport(ledger.store, ledger.handler, acting(given(ctx)), by_folder=by_folder)
        return await importing.run(paths, advance)

    _import(ctx, paths, read, as_json)


@app.command(epilog=example("runledger import langfuse traces/*.json"))
def langfuse(ctx: typer.Context, paths: Paths, as_json: Json = False) -> None:
    """Import trace exports of Langfuse: a trace is a run. Again changes nothing."""

    async def read(ledger: "RunLedger", advance: "Advance") -> "ImportReport":
        from runledger.importers.langfuse.importer import LangfuseImport

        importing = LangfuseImport(ledger.store, ledger.handler, acting(given(ctx)))
        return await importing.run(paths, advance)

    _import(ctx, paths, read, as_json)


@app.command(epilog=example("runledger import otel spans.json.gz"))
def otel(ctx: typer.Context, paths: Paths, as_json: Json = False) -> None:
    """Import spans of OpenTelemetry: an outermost agent is a run. Again adds what is new.

    OTLP in JSON or protobuf, traces of Jaeger or Tempo, spans as SDKs print them.
    """

    async def read(ledger: "RunLedger", advance: "Advance") -> "ImportReport":
        from runledger.importers.otlp.importer import OtelImport

        importing = OtelImport(ledger.store, ledger.handler, acting(given(ctx)))
        return await importing.run(paths, advance)

    _import(ctx, paths, read, as_json)


@app.command(epilog=example("runledger import inspect logs/"))
def inspect(ctx: typer.Context, paths: Paths, as_json: Json = False) -> None:
    """Import logs of Inspect (.json, .eval): a sample is a run. Again changes nothing."""

    async def read(ledger: "RunLedger", advance: "Advance") -> "ImportReport":
        from runledger.importers.inspect_ai.importer import InspectImport

        importing = InspectImport(ledger.store, ledger.handler, acting(given(ctx)))
        return await importing.run(paths, advance)

    _import(ctx, paths, read, as_json)


@app.command(epilog=example("runledger import auto ~/traces session.jsonl"))
def auto(ctx: typer.Context, paths: Paths, as_json: Json = False) -> None:
    """Import files of any format that is recognised, and say which it is.

    A named file that is not recognised is refused; such a file in a folder is skipped.
    """
    from runledger.importers.automatic import AutoImport, recognise
    from runledger.importers.recognition import FORMATS

    found = recognise(paths)
    if not as_json:
        for kind, files in found.files.items():
            typer.echo(f"recognised: {kind}: {len(files):,} files", err=True)

    async def read(ledger: "RunLedger", advance: "Advance") -> "dict[Format, ImportReport]":
        importing = AutoImport(ledger.store, ledger.handler, acting(given(ctx)))
        return await importing.run(found, advance)

    reports = _read(ctx, [path for files in found.files.values() for path in files], read)
    refused = [(str(path), reason) for path, reason in found.failed]
    expected = f"expected a file of {', '.join(FORMATS)}, found none of them"
    refused += [(str(path), expected) for path in found.unknown if path in paths]
    if as_json:
        printing.print_json(
            {
                "formats": {kind: _as_json(report) for kind, report in reports.items()},
                "not_recognised": sorted(map(str, found.unknown)),
                "refusals": [{"place": place, "reason": reason} for place, reason in refused],
            }
        )
    else:
        for place, reason in refused:
            typer.echo(f"refused: {place}: {reason}", err=True)
        passed_over = sum(path not in paths for path in found.unknown)
        if passed_over:
            typer.echo(f"not recognised: {passed_over:,} files", err=True)
        for kind, report in reports.items():
            typer.echo(f"{kind}: ", nl=False)
            _show(report)
    if refused or any(report.refused for report in reports.values()):
        raise typer.Exit(1)


def _import(
    ctx: typer.Context,
    files: list[Path],
    read: "Callable[[RunLedger, Advance], Awaitable[ImportReport]]",
    as_json: bool,
) -> None:
    report = _read(ctx, files, read)
    if as_json:
        printing.print_json(_as_json(report))
    else:
        _show(report)
    if report.refused:
        raise typer.Exit(1)


def _read(
    ctx: typer.Context,
    files: list[Path],
    read: "Callable[[RunLedger, Advance], Awaitable[_T]]",
) -> "_T":
    from runledger.cli.progress import progress
    from runledger.importers.source_file import size_of

    expect_writable(ctx)

    async def with_progress(ledger: "RunLedger") -> "_T":
        with progress("importing", size_of(files), "bytes") as advance:
            return await read(ledger, advance)

    try:
        return ask(ctx, with_progress, read_models=False, create=True)
    except KeyboardInterrupt:
        typer.echo(
            "interrupted: what is recorded stays; the same command brings the rest", err=True
        )
        raise


def _as_json(report: "ImportReport") -> dict[str, object]:
    return {
        "unit": report.unit,
        "recorded": report.recorded,
        "extended": report.extended,
        "unchanged": report.unchanged,
        "refused": report.refused,
        "events": report.events,
        "refusals": [refusal._asdict() for refusal in report.refusals],
        "not_understood": dict(sorted(report.not_understood.items())),
        "left_out": dict(sorted(report.left_out.items())),
    }


def _show(report: "ImportReport") -> None:
    for refusal in report.refusals:
        typer.echo(f"refused: {refusal.place}: {refusal.reason}", err=True)
    hidden = report.refused - len(report.refusals)
    if hidden:
        typer.echo(f"refused: {hidden:,} more", err=True)
    for kind, count in sorted(report.not_understood.items()):
        typer.echo(f"not understood: {count:,} times: {kind}", err=True)
    for reason, count in sorted(report.left_out.items()):
        typer.echo(f"numbers left out: {count:,} times: {reason}", err=True)
    events = "" if report.unit == "events" else f" ({report.events:,} events)"
    typer.echo(
        f"{report.recorded:,} {report.unit} recorded{events}, "
        f"{f'{report.extended:,} extended, ' if report.extended else ''}"
        f"{report.unchanged:,} were there already, {report.refused:,} refused"
    )
