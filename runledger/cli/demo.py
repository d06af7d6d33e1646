"""`runledger demo`: execute an agent loop, and show the read models made from it."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runledger.cli import percentiles, printing, run_list, usage
from runledger.cli.options import Json, example
from runledger.cli.settings import Settings, acting, given

if TYPE_CHECKING:
    from runledger import RunLedger

app = typer.Typer()


@app.command(epilog=example("runledger demo", "runledger demo --directory /var/tmp/demo"))
def demo(
    ctx: typer.Context,
    directory: Annotated[
        Path, typer.Option(help="The folder of the demo's store and read models.")
    ] = Path("demo"),
    as_json: Json = False,
) -> None:
    """Execute a few dozen runs with different outcomes in a separate ledger, and show them."""
    import asyncio

    from runledger import RunLedger
    from runledger.demo import work
    from runledger.errors import InvalidArgument

    own = Settings(
        f"sqlite:///{directory / 'runs.db'}",
        str(directory / "runs.duckdb"),
        given(ctx).organization,
    )

    async def happen() -> dict[str, Any]:
        async with RunLedger.open(own.store, own.read_models, actor=acting(own)) as ledger:
            await work(ledger)
            return await _shown(ledger)

    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise InvalidArgument(f"{directory}: expected a folder for the demo: {e.strerror}") from e
    shown = asyncio.run(happen())
    if as_json:
        totals = {name: printing.columns_of(shown[name]) for name in ("usage", "percentiles")}
        printing.print_json({**shown, **totals})
        return
    typer.echo("Runs, the newest first:\n")
    run_list.print_runs(shown["runs"])
    typer.echo("\nTokens by model:\n")
    usage.print_usage(shown["usage"], ["model"])
    typer.echo("\nHow long runs take, by agent:\n")
    percentiles.print_percentiles(shown["percentiles"], ["agent"])
    _next(own, shown["runs"])


async def _shown(ledger: "RunLedger") -> dict[str, Any]:
    return {
        "runs": await ledger.list_runs(limit=40),
        "usage": await ledger.usage_totals(by=["model"]),
        "percentiles": await ledger.duration_percentiles(by=["agent"]),
    }


def _next(own: Settings, runs: list[Any]) -> None:
    command = shlex.quote(sys.argv[0]) if sys.argv[0].endswith("runledger") else "runledger"
    failed = next((run.run_id for run in runs if run.status == "failed"), runs[0].run_id)
    typer.echo(
        f"""
All of it was projected from events in {own.store.removeprefix("sqlite:///")}. What to type next:

  export RUNLEDGER_STORE={shlex.quote(own.store)}
  export RUNLEDGER_READ_MODELS={shlex.quote(own.read_models)}
  {command} runs list --status failed
  {command} runs show {failed} --messages
  {command} sql "SELECT name, status, count(*) FROM tool_calls GROUP BY ALL ORDER BY ALL"
  {command} doctor
  {command} --help"""
    )
