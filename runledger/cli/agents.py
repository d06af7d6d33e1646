"""`runledger agents`: the agents, with their last runs."""

from collections.abc import Iterable
from typing import Annotated, Any

import typer

from runledger.cli import printing
from runledger.cli.formats import Form, output
from runledger.cli.options import AsOf, Json, example
from runledger.cli.settings import ask
from runledger.quantities import show_moment

app = typer.Typer()


@app.command(epilog=example("runledger agents", "runledger agents --agent-id agent-support --json"))
def agents(
    ctx: typer.Context,
    agent_id: Annotated[str | None, typer.Option(help="Only this agent.")] = None,
    as_of: AsOf = None,
    as_json: Json = False,
    form: Form = None,
) -> None:
    """List the agents, the one with the newest run first."""
    from runledger.records import AgentRow

    shown = output(ctx, form, as_json, AgentRow, _print_agents, times_of_sql=True)
    rows = ask(ctx, lambda ledger: ledger.list_agents(agent_id=agent_id, as_of=as_of), as_of=as_of)
    shown.add(rows)
    shown.end()


def _print_agents(rows: Iterable[Any]) -> None:
    printing.print_table(
        ["agent_id", "name", "project_id", "last_run_at", "last_stop_reason", "last_run_id"],
        (
            [
                row.agent_id,
                row.name or "-",
                row.project_id or "-",
                show_moment(row.last_run_at),
                row.last_stop_reason or "-",
                row.last_run_id or "-",
            ]
            for row in rows
        ),
    )
