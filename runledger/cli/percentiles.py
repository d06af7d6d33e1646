"""`runledger percentiles`: percentiles of the durations of runs."""

from collections.abc import Collection, Iterable
from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer

from runledger.cli import parsers, printing
from runledger.cli.bars import Bar, Plot, about, expect_no_format, print_bars
from runledger.cli.formats import Form, output
from runledger.cli.options import AsOf, Json, View, Where, example, expect_span
from runledger.cli.parsers import day
from runledger.cli.settings import ask
from runledger.quantities import show_count, show_duration

if TYPE_CHECKING:
    from runledger import RunLedger
    from runledger.records import DurationPercentiles

app = typer.Typer()
_MARKS = ("p50", "p90", "p95", "p99")


@app.command(
    epilog=example(
        "runledger percentiles",
        "runledger percentiles --by agent --by day --since 2025-08-01 --json",
        "runledger percentiles --by agent --plot",
    )
)
def percentiles(
    ctx: typer.Context,
    by: Annotated[
        list[str] | None,
        typer.Option(
            parser=parsers.percentiles_group,
            help="Group by project, agent or day; may be repeated. Default: all runs.",
        ),
    ] = None,
    project_id: Annotated[str | None, typer.Option(help="Only this project.")] = None,
    agent_id: Annotated[str | None, typer.Option(help="Only this agent.")] = None,
    since: Annotated[
        date | None,
        typer.Option(parser=day, metavar="DAY", help="Runs that ended on this day (UTC) or later."),
    ] = None,
    until: Annotated[
        date | None,
        typer.Option(parser=day, metavar="DAY", help="Runs that ended on this day or earlier."),
    ] = None,
    where: Where = None,
    view: View = None,
    as_of: AsOf = None,
    as_json: Json = False,
    form: Form = None,
    plot: Plot = False,
) -> None:
    """Show exact duration percentiles of ended runs (linear interpolation; ns in JSON).

    With --plot, a bar leads from the median to the 99th percentile.
    """
    expect_span(since=since, until=until)
    expect_no_format(ctx, plot, form, as_json)
    groups = by or []
    from runledger.records import DurationPercentiles

    draw = plot_percentiles if plot else print_percentiles
    shown = output(ctx, form, as_json, DurationPercentiles, lambda rows: draw(rows, groups))

    async def totals(ledger: "RunLedger") -> "list[DurationPercentiles]":
        from runledger.ledger.named_view import condition

        return await ledger.duration_percentiles(
            by=groups,
            project_id=project_id,
            agent_id=agent_id,
            since=since,
            until=until,
            where=await condition(ledger, view, where),
            as_of=as_of,
        )

    rows = ask(ctx, totals, as_of=as_of)
    shown.add(rows)
    shown.end()


def print_percentiles(rows: Iterable["DurationPercentiles"], groups: Collection[str]) -> None:
    """Print durations as a table."""
    keys = _keys(groups)
    printing.print_table(
        [*keys, "runs", *_MARKS],
        (
            [
                *(str(getattr(row, key) or "-") for key in keys),
                show_count(row.runs),
                *(show_duration(getattr(row, mark)) for mark in _MARKS),
            ]
            for row in rows
        ),
        right=["runs", *_MARKS],
    )


def plot_percentiles(rows: Iterable["DurationPercentiles"], groups: Collection[str]) -> None:
    """Print durations as bars from the median to the 99th percentile."""
    keys = _keys(groups)
    print_bars(
        Bar(
            about(row, keys, "all runs"),
            row.p50,
            row.p99,
            f"p50 {show_duration(row.p50)}  p99 {show_duration(row.p99)}",
        )
        for row in rows
    )


def _keys(groups: Collection[str]) -> list[str]:
    return [key for key in ("project_id", "agent_id", "day") if key.split("_")[0] in groups]
