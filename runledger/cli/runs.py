"""`runledger runs`: list runs, show, cancel or delete one."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from runledger.cli import parsers, printing, run_list
from runledger.cli.bars import Bar, Plot, expect_no_format, print_bars
from runledger.cli.known_ids import run_ids
from runledger.cli.options import AsOf, Json, example
from runledger.cli.settings import ask, expect_writable
from runledger.quantities import show_count, show_duration, show_moment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runledger import RunLedger
    from runledger.records import StepView

app = typer.Typer(name="runs", help="List runs, show, cancel or delete one.", no_args_is_help=True)
app.command("list", epilog=run_list.EXAMPLE)(run_list.list_runs)

RunId = Annotated[
    str,
    typer.Argument(
        parser=parsers.run_id, metavar="RUN_ID", help="run-<uuid4>", autocompletion=run_ids
    ),
]
_RUN = "run-0f1e2d3c-4b5a-4678-9abc-def012345678"


@app.command(
    epilog=example(f"runledger runs show {_RUN} --messages", f"runledger runs show {_RUN} --plot")
)
def show(
    ctx: typer.Context,
    run_id: RunId,
    messages: Annotated[bool, typer.Option("--messages", help="Show the messages too.")] = False,
    as_of: AsOf = None,
    as_json: Json = False,
    plot: Plot = False,
) -> None:
    """Show a run with its steps, from its own stream: always current, without read models.

    With --plot, each step is a bar, as long as it took, behind what came before it.
    """
    expect_no_format(ctx, plot, None, as_json)

    async def whole(ledger: "RunLedger") -> dict[str, Any]:
        found: dict[str, Any] = {
            "run": await ledger.get_run_by_id(run_id, as_of=as_of),
            "steps": await ledger.get_run_steps(run_id, as_of=as_of),
        }
        if messages:
            found["messages"] = await ledger.get_stored_messages(run_id, as_of=as_of)
        return found

    found = ask(ctx, whole, read_models=False)
    if as_json:
        printing.print_json(found)
        return
    printing.print_facts(_facts(found["run"]))
    if found["steps"] and plot:
        typer.echo("")
        _plot(found["steps"])
    elif found["steps"]:
        typer.echo("")
        numbers = ("prompt", "completion", "duration")
        printing.print_table(
            ["step_id", "status", "model", *numbers], map(_step, found["steps"]), right=numbers
        )
    for message in found.get("messages", ()):
        typer.echo(f"\n{message.role}  {show_moment(message.created_at)}  {message.id}")
        for line in _lines(message):
            typer.echo(f"  {printing.visible(line)}")


@app.command(epilog=example(f"runledger runs cancel {_RUN} --reason 'not needed any more'"))
def cancel(
    ctx: typer.Context,
    run_id: RunId,
    reason: Annotated[str | None, typer.Option(help="The reason; stored in the event.")] = None,
    as_json: Json = False,
) -> None:
    """Cancel a run, deny its open tool calls and release its conversation."""
    expect_writable(ctx)
    outcome = ask(ctx, lambda ledger: ledger.cancel_run(run_id, reason=reason), read_models=False)
    if as_json:
        printing.print_json({"outcome": outcome.outcome, "run": outcome.run})
    elif outcome.outcome == "cancelled":
        typer.echo(f"{run_id} cancelled")
    else:
        typer.echo(f"{run_id} had ended already: {outcome.run.status}, {outcome.run.stop_reason}")


@app.command(epilog=example(f"runledger runs delete {_RUN} --yes"))
def delete(
    ctx: typer.Context,
    run_id: RunId,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Remove a run from every list and getter; its id is never used again."""
    if not yes:
        typer.confirm(f"delete {run_id}?", abort=True, err=True)
    expect_writable(ctx)
    ask(ctx, lambda ledger: ledger.delete_run(run_id), read_models=False)
    if as_json:
        printing.print_json({"deleted": run_id})
    else:
        typer.echo(f"{run_id} deleted")


def _facts(run: Any) -> dict[str, str]:
    tokens = {
        name: show_count(getattr(run, name))
        for name in type(run).model_fields
        if name.endswith("_tokens")
    }
    facts = {
        "run_id": run.run_id,
        "agent_id": run.agent_id,
        "status": f"{run.status} ({run.stop_reason})" if run.stop_reason else run.status,
        "created_at": show_moment(run.created_at),
        "started_at": show_moment(run.started_at),
        "completed_at": show_moment(run.completed_at),
        "duration": _duration(run),
        "conversation_id": run.conversation_id or "-",
        "project_id": run.project_id or "-",
        "steps": show_count(run.num_steps),
        "tools_used": ", ".join(run.tools_used) or "-",
        **tokens,
        **{f"metadata.{key}": str(value) for key, value in run.metadata.items()},
    }
    if run.error_type or run.error_message:
        facts["error"] = ": ".join(filter(None, (run.error_type, run.error_message)))
    return facts


def _duration(run: Any) -> str:
    if run.run_ns is None and run.ended_before_it_began:
        return "unknown: by the clocks of those that recorded it, it ended before it began"
    return show_duration(run.run_ns)


def _step(step: Any) -> list[str]:
    return [
        step.step_id,
        step.status,
        step.model or "-",
        show_count(step.prompt_tokens),
        show_count(step.completion_tokens),
        show_duration(step.step_ns),
    ]


def _plot(steps: "Sequence[StepView]") -> None:
    first = min((step.span[0] for step in steps if step.span is not None), default=0)
    spans = [(0, 0) if step.span is None else step.span for step in steps]
    print_bars(
        Bar(
            f"{number}  {step.model or '-'}  {step.status}",
            max(begin - first, 0),
            max(end - first, 0),
            show_duration(step.step_ns),
        )
        for number, (step, (begin, end)) in enumerate(zip(steps, spans, strict=True), 1)
    )


def _lines(message: Any) -> list[str]:
    calls = [f"calls {c.function.name}({c.function.arguments})" for c in message.tool_calls or ()]
    returns = [
        f"{r.status}: {r.func_response}" for r in message.tool_returns or () if r.func_response
    ]
    return [*message.text().splitlines(), *calls, *returns]
