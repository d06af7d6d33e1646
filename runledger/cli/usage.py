"""`runledger usage`: token totals, and what they cost."""

from collections.abc import Collection, Iterable
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Final

import typer

from runledger.cli import parsers, printing
from runledger.cli.bars import Bar, Plot, about, expect_no_format, print_bars
from runledger.cli.formats import Form, output
from runledger.cli.options import AsOf, Json, View, Where, example, expect_span
from runledger.cli.parsers import day, dollars
from runledger.cli.settings import ask
from runledger.quantities import show_count, show_usd

if TYPE_CHECKING:
    from runledger import RunLedger
    from runledger.records import UsageTotal

app = typer.Typer()
EXCEEDED: Final = 3
"""The exit code if a limit is exceeded."""


@app.command(
    epilog=example(
        "runledger usage --by model --by day --since 2025-08-01",
        "runledger usage --by agent --model gpt-4.1 --json",
        "runledger usage --by day --plot",
        "runledger usage --by agent --since 2025-08-01 --fail-over 25USD",
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
    fail_over: Annotated[
        Decimal | None,
        typer.Option(
            parser=dollars,
            metavar="USD",
            help="Exit code 3 if all shown groups cost more, such as 25USD.",
        ),
    ] = None,
    as_of: AsOf = None,
    as_json: Json = False,
    form: Form = None,
    plot: Plot = False,
) -> None:
    """Show tokens and what they cost; `-` if no step reported a count or has a known price.

    With `≥`, a cost is a lower bound: some tokens have no known price, or were not reported.
    """
    expect_span(since=since, until=until)
    expect_no_format(ctx, plot, form, as_json)
    from runledger.records import UsageTotal

    draw = plot_usage if plot else print_usage
    shown = output(ctx, form, as_json, UsageTotal, lambda rows: draw(rows, by))

    async def totals(ledger: "RunLedger") -> "list[UsageTotal]":
        from runledger.ledger.named_view import condition

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
    if fail_over is not None:
        _expect_within(rows, fail_over)


def _expect_within(rows: "list[UsageTotal]", most: Decimal) -> None:
    """Exit with code 3 if the rows cost more; say so if their cost is not wholly known."""
    spent = sum((row.cost_usd for row in rows if row.cost_usd is not None), Decimal(0))
    known = all(row.incomplete_steps == 0 for row in rows)
    if spent > most:
        typer.echo(f"cost: expected at most {most} USD, found {show_usd(spent, known)}", err=True)
        raise typer.Exit(EXCEEDED)
    if not known:
        typer.echo(
            f"cost: {show_usd(spent, known)} is within {most} USD, but a lower bound: some steps "
            f"have no known price or usage",
            err=True,
        )


def print_usage(rows: Iterable["UsageTotal"], by: Collection[str]) -> None:
    """Print token totals as a table."""
    keys = _keys(by)
    # Late: the buckets are models, which take longer to load than the help of a command may.
    from runledger.usage import COUNTED

    counts = ("steps", "prompt_tokens", "completion_tokens", "total_tokens", *COUNTED)
    names = [count.removesuffix("_tokens") for count in counts]
    printing.print_table(
        [*keys, "cost", *names, "unpriced"],
        (
            [
                *(str(getattr(row, key) or "-") for key in keys),
                show_usd(row.cost_usd, not row.incomplete_steps),
                *(show_count(getattr(row, count)) for count in counts),
                show_count(row.unpriced_tokens),
            ]
            for row in rows
        ),
        right=["cost", *names, "unpriced"],
    )


def plot_usage(rows: Iterable["UsageTotal"], by: Collection[str]) -> None:
    """Print the tokens of each group as a bar, beside what they cost."""
    keys = _keys(by)
    print_bars(
        Bar(
            about(row, keys, "all"),
            0,
            row.total_tokens,
            f"{show_count(row.total_tokens)} tokens  "
            f"{show_usd(row.cost_usd, not row.incomplete_steps)}",
        )
        for row in rows
    )


def _keys(by: Collection[str]) -> list[str]:
    return [key for key in ("project_id", "agent_id", "model", "day") if key.split("_")[0] in by]
