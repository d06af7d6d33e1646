"""`runledger runs list`: a page of runs, by any filter."""

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runledger.cli import parsers, printing
from runledger.cli.formats import Form, output
from runledger.cli.known_ids import agent_ids
from runledger.cli.options import AsOf, Json, View, Where, example, expect_span, typed
from runledger.cli.parsers import last_moment, moment, nanoseconds
from runledger.cli.settings import ask, fields
from runledger.quantities import show_count, show_duration, show_moment, show_usd

if TYPE_CHECKING:
    from runledger import RunLedger

EXAMPLE = example(
    "runledger runs list --status failed --start-date 2025-08-01",
    'runledger runs list --order-by cost_usd --where "cost_usd>0.5"',
    "runledger runs list --tool search --duration 30s --duration-operator gte",
    "runledger runs list --where \"status = 'failed' AND any_tool(denied)\"",
    "runledger runs list --all --format parquet --status failed > failed.parquet",
    "runledger runs list --duration-percentile 95 --order-by duration --json",
)


def list_runs(
    ctx: typer.Context,
    where: Where = None,
    view: View = None,
    run_id: Annotated[str | None, typer.Option(help="This run.")] = None,
    agent_id: Annotated[
        list[str] | None,
        typer.Option(help="Runs of this agent; may be repeated.", autocompletion=agent_ids),
    ] = None,
    status: Annotated[
        list[str] | None,
        typer.Option(
            parser=parsers.status,
            help="created, running, completed, failed or cancelled; may be repeated.",
        ),
    ] = None,
    stop_reason: Annotated[
        str | None, typer.Option(parser=parsers.stop_reason, help="Ended for this reason.")
    ] = None,
    background: Annotated[
        bool | None, typer.Option("--background/--foreground", help="In the background, or not.")
    ] = None,
    template_family: Annotated[str | None, typer.Option(help="Runs of this template.")] = None,
    project_id: Annotated[str | None, typer.Option(help="Runs of this project.")] = None,
    conversation_id: Annotated[str | None, typer.Option(help="Runs of this conversation.")] = None,
    tool: Annotated[
        list[str] | None,
        typer.Option(help="Runs that used this tool (name or id); may be repeated: any of them."),
    ] = None,
    step_count: Annotated[
        int | None, typer.Option(min=0, help="With this number of steps.")
    ] = None,
    step_count_operator: Annotated[
        str, typer.Option(parser=parsers.operator, help="eq, gt, gte, lt or lte.")
    ] = "eq",
    duration: Annotated[
        int | None,
        typer.Option(parser=nanoseconds, metavar="DURATION", help="Longer than this, such as 30s."),
    ] = None,
    duration_operator: Annotated[
        str, typer.Option(parser=parsers.operator, help="eq, gt, gte, lt or lte.")
    ] = "gt",
    duration_percentile: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=100,
            help="At least as slow as this percentile of the otherwise filtered runs.",
        ),
    ] = None,
    feedback: Annotated[
        str | None,
        typer.Option(parser=parsers.feedback, help="With this feedback: positive or negative."),
    ] = None,
    start_date: Annotated[
        datetime | None,
        typer.Option(parser=moment, metavar="TIME", help="Created then or later."),
    ] = None,
    end_date: Annotated[
        datetime | None,
        typer.Option(
            parser=last_moment,
            metavar="TIME",
            help="Created then or earlier; a day alone is included (UTC).",
        ),
    ] = None,
    order_by: Annotated[
        str,
        typer.Option(
            parser=parsers.order,
            help="created_at, duration or another column, such as total_tokens.",
        ),
    ] = "created_at",
    ascending: Annotated[bool, typer.Option("--ascending/--descending")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Runs on a page, 1000 at most.")] = 50,
    after: Annotated[
        str | None, typer.Option(metavar="RUN_ID", help="The page after this run.")
    ] = None,
    before: Annotated[
        str | None, typer.Option(metavar="RUN_ID", help="The page before this run.")
    ] = None,
    as_of: AsOf = None,
    as_json: Json = False,
    form: Form = None,
    whole: Annotated[bool, typer.Option("--all", help="All pages instead of one.")] = False,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="Print all filters as one condition for --where instead."),
    ] = False,
) -> None:
    """List runs, the newest first."""
    for needed, name in ((duration, "duration"), (step_count, "step_count")):
        if needed is None and typed(ctx, f"{name}_operator"):
            option = f"--{name.replace('_', '-')}"
            raise typer.BadParameter(f"expected {option} beside {option}-operator")
    if after is not None and before is not None:
        raise typer.BadParameter("expected --after or --before, found both")
    of_a_page = [name for name in ("limit", "after", "before") if typed(ctx, name)]
    if whole and of_a_page:
        raise typer.BadParameter(f"expected --all or --{of_a_page[0]}, found both")
    expect_span(start_date=start_date, end_date=end_date)
    longer = None if duration is None else {"value": duration, "operator": duration_operator}
    filters = fields(
        where=where,
        run_id=run_id,
        agent_ids=agent_id,
        statuses=status,
        stop_reason=stop_reason,
        background=background,
        template_family=template_family,
        project_id=project_id,
        conversation_id=conversation_id,
        tools_used=tool,
        step_count=step_count,
        step_count_operator=None if step_count is None else step_count_operator,
        duration_filter=longer,
        duration_percentile=duration_percentile,
        feedback=feedback,
        start_date=start_date,
        end_date=end_date,
        order_by=order_by,
        ascending=ascending,
        limit=None if whole else limit,
        after=after,
        before=before,
        costs=True,
    )
    if explain:
        if view is not None:
            from runledger.ledger.named_view import condition

            asked = ask(ctx, lambda ledger: condition(ledger, view, where), read_models=False)
            filters["where"] = asked
        _explain(filters)
        return
    from runledger.records import RunRecord

    shown = output(ctx, form, as_json, RunRecord, print_runs)

    async def write(ledger: "RunLedger") -> None:
        from runledger.ledger.named_view import condition

        filters["where"] = await condition(ledger, view, where)
        if whole:
            async for page in ledger.runs(**filters, as_of=as_of).pages():
                shown.add(page)
        else:
            shown.add(await ledger.list_runs(as_of=as_of, **filters))
        shown.end()

    ask(ctx, write, as_of=as_of)


def _explain(filters: dict[str, Any]) -> None:
    from projections.queries.run_filter import run_filter
    from projections.queries.where.expression import read
    from projections.queries.where.translation import expression_of

    expression = expression_of(run_filter("list_runs", **filters))
    typer.echo(printing.visible(expression))
    if times := read(expression).assumed_utc:
        typer.echo(f"(without a zone, so in UTC: {', '.join(times)})", err=True)


def print_runs(runs: Iterable[Any]) -> None:
    """Print runs as a table."""
    columns = ("run_id", "agent_id", "status", "duration", "stop_reason", "created_at")
    numbers = ("steps", "prompt", "completion", "cost")
    printing.print_table(
        [*columns, *numbers, "tools"], map(_row, runs), right=("duration", *numbers)
    )


def _row(run: Any) -> list[str]:
    return [
        run.run_id,
        run.agent_id,
        run.status,
        "unknown" if run.ended_before_it_began else show_duration(run.run_ns),
        run.stop_reason or "-",
        show_moment(run.created_at),
        show_count(run.num_steps),
        show_count(run.prompt_tokens),
        show_count(run.completion_tokens),
        show_usd(run.cost_usd, not run.incomplete_steps),
        ", ".join(run.tools_used) or "-",
    ]
