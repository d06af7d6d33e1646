"""`runledger usage`: token totals."""

from collections.abc import Collection, Iterable
from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer

from runledger.cli import parsers, printing
from runledger.cli.formats import Form, output
from runledger.cli.named_view import condition
from runledger.cli.options import AsOf, Json, View, Where, example, expect_span
from runledger.cli.parsers import day
from runledger.cli.settings import ask
from runledger.quantities import show_count

if TYPE_CHECKING:
    from runledger import RunLedger
    from runledger.records import UsageTotal

app = typer.Typer()


@app.command(
    epilog=example(
        "runledger usage --by model --by day --since 2025-08-01",
        "runledger usage --by agent --model gpt-4.1 --json",
    )
)
def usage(
    ctx: typer.Context,
    by: Annotated[
        list[str],
        typer.Option(
            parser=parsers.usage_group,
            help="Group by project, agent, model or day; repeatable.",
        ),
    ] = ["model"],  # noqa: B006
    project_id: Annotated[str | None, typer.Option(help="Only this project.")] = None,
    agent_id: Annotated[str | None, typer.Option(help="Only this agent.")] = None,
    model: Annotated[str | None, typer.Option(help="Only this model.")] = None,
    since: Annotated[
        date | None,
        typer.Option(parser=day, metavar="DAY", help="From this day on (UTC)."),
    ] = None,
    until: Annotated[
        date | None,
        typer.Option(parser=day, metavar="DAY", help="Up to this day (UTC), all of it."),
    ] = None,
    where: Where = None,
    view: View = None,
    as_of: AsOf = None,
    as_json: Json = False,
    form: Form = None,
) -> None:
    """Show token totals; `-` if no step reported a count."""
    expect_span(since=since, until=until)
    from runledger.records import UsageTotal

    shown = output(ctx, form, as_json, UsageTotal, lambda rows: print_usage(rows, by))

    async def totals(ledger: "RunLedger") -> "list[UsageTotal]":
        return await ledger.usage_totals(
            by=by,
            project_id=project_id,
            agent_id=agent_id,
            model=model,
            since=since,
            until=until,
            where=await condition(ledger, view, where),
            as_of=as_of,
        )

    rows = ask(ctx, totals, as_of=as_of)
    shown.add(rows)
    shown.end()


def print_usage(rows: Iterable["UsageTotal"], by: Collection[str]) -> None:
    """Print token totals as a table."""
    keys = [key for key in ("project_id", "agent_id", "model", "day") if key.split("_")[0] in by]
    # Late: the buckets are models, which take longer to load than the help of a command may.
    from runledger.usage import COUNTED

    counts = ("steps", "prompt_tokens", "completion_tokens", "total_tokens", *COUNTED)
    names = [count.removesuffix("_tokens") for count in counts]
    printing.print_table(
        [*keys, *names],
        (
            [
                *(str(getattr(row, key) or "-") for key in keys),
                *(show_count(getattr(row, count)) for count in counts),
            ]
            for row in rows
        ),
        right=names,
    )
