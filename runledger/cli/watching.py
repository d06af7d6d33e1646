"""`runledger watch …`: import runs that other programs record, while they record them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runledger.cli.options import ByFolder, example
from runledger.cli.settings import acting, ask, expect_writable, given

if TYPE_CHECKING:
    from runledger import RunLedger
    from runledger.importers.report import ImportReport

app = typer.Typer(
    name="watch", help="Import runs while they are in progress.", no_args_is_help=True
)


@app.callback()
def watch() -> None:
    """Import runs while they are in progress."""


@app.command("claude-code", epilog=example("runledger watch claude-code"))
def claude_code(
    ctx: typer.Context,
    path: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="PATH",
            help="A folder with sessions; repeatable. Default: that of Claude Code.",
            show_default=False,
        ),
    ] = None,
    interval: Annotated[float, typer.Option(min=0.1, help="Seconds between two checks.")] = 2.0,
    by_folder: ByFolder = False,
) -> None:
    """Follow the sessions of Claude Code until SIGINT or SIGTERM.

    Recorded events stay; the same command continues from there. Claude Code's own folder is
    `projects` in $CLAUDE_CONFIG_DIR, or in ~/.claude.
    """
    expect_writable(ctx)

    async def follow(ledger: "RunLedger") -> None:
        import asyncio
        import signal

        from runledger.importers.claude_code.importer import ClaudeCodeImport
        from runledger.importers.claude_code.session import home
        from runledger.importers.claude_code.watch import ClaudeCodeWatch

        stopped = asyncio.Event()
        for ending in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(ending, stopped.set)
        importing = ClaudeCodeImport(
            ledger.store, ledger.handler, acting(given(ctx)), by_folder=by_folder
        )
        await ClaudeCodeWatch(importing, path or [home()]).follow(stopped, interval, _tell)

    ask(ctx, follow, read_models=False, create=True)


def _tell(report: "ImportReport") -> None:
    """Print what was imported; nothing if there is nothing new."""
    for refusal in report.refusals:
        typer.echo(f"refused: {refusal.place}: {refusal.reason}", err=True)
    if report.events:
        typer.echo(
            f"{report.recorded:,} runs recorded, {report.extended:,} extended "
            f"({report.events:,} events)"
        )
