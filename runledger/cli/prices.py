"""`runledger prices`: the prices of models, and own prices of the organization."""

from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runledger.cli import parsers, printing
from runledger.cli.formats import Form, output
from runledger.cli.options import Json, example
from runledger.cli.settings import ask, ask_operator, expect_writable, fields
from runledger.quantities import show_count, show_moment, show_price

if TYPE_CHECKING:
    from runledger.price_records import ModelPrice, PriceChange

app = typer.Typer(
    name="prices",
    help="What tokens cost: show prices, list own ones, adopt a newer table.",
    no_args_is_help=True,
)
Model = Annotated[str, typer.Argument(metavar="MODEL", help="As a step reports it.")]
Tier = Annotated[
    str | None, typer.Option("--service-tier", help="Of the calls, such as batch or flex.")
]
_LATER = "steps from now on are priced so; `runledger reprice` prices earlier ones again"


@app.command("list", epilog=example("runledger prices list"))
def list_changes(ctx: typer.Context, as_json: Json = False, form: Form = None) -> None:
    """List the changes of prices: adopted tables, own prices, and their application."""
    from runledger.price_records import PriceChange

    shown = output(ctx, form, as_json, PriceChange, _print_changes)
    shown.add(ask(ctx, lambda ledger: ledger.list_price_changes(), read_models=False))
    shown.end()


@app.command(
    epilog=example(
        "runledger prices show gpt-4.1",
        "runledger prices show us.anthropic.claude-haiku-4-5-20251001-v1:0 --provider bedrock",
        "runledger prices show o3 --provider openai --at 2025-06-09",
    )
)
def show(
    ctx: typer.Context,
    model: Model,
    provider: Annotated[str | None, typer.Option(help="As a step reports it.")] = None,
    service_tier: Tier = None,
    at: Annotated[
        datetime | None,
        typer.Option(parser=parsers.moment, metavar="TIME", help="Only the prices at this time."),
    ] = None,
    as_json: Json = False,
    form: Form = None,
) -> None:
    """Show the prices of a model in USD for a million tokens, as its next step will be priced."""
    from runledger.price_records import ModelPrice

    shown = output(ctx, form, as_json, ModelPrice, _print_prices)
    asked = fields(provider=provider, service_tier=service_tier, at=at)
    shown.add(ask(ctx, lambda ledger: ledger.get_model_prices(model, **asked), read_models=False))
    shown.end()


@app.command(
    "set",
    epilog=example(
        "runledger prices set openai gpt-4.1 input=1.5 output=6 --from 2025-08-01",
        "runledger prices set ollama qwen2.5 input=0 output=0",
    ),
)
def set_prices(
    ctx: typer.Context,
    provider: Annotated[str, typer.Argument(metavar="PROVIDER", help="As the table names it.")],
    model: Annotated[str, typer.Argument(metavar="MODEL", help="As the table names it, or new.")],
    prices: Annotated[
        list[str],
        typer.Argument(
            metavar="UNIT=USD…",
            help="For a million tokens; units: input, cache_read, cache_write, cache_write_1h, "
            "output, reasoning.",
        ),
    ],
    valid_from: Annotated[
        date | None,
        typer.Option("--from", parser=parsers.day, metavar="DAY", help="From this day on (UTC)."),
    ] = None,
    valid_to: Annotated[
        date | None,
        typer.Option(
            "--before", parser=parsers.day, metavar="DAY", help="Before this day (UTC), exclusive."
        ),
    ] = None,
    input_from: Annotated[
        int, typer.Option(min=0, help="For calls with so many tokens of input or more.")
    ] = 0,
    service_tier: Tier = None,
    as_json: Json = False,
) -> None:
    """List own prices of the organization; they come before those of the table."""
    expect_writable(ctx)
    shared = {
        "provider": provider,
        "model": model,
        "valid_from": "" if valid_from is None else valid_from.isoformat(),
        "valid_to": "" if valid_to is None else valid_to.isoformat(),
        "service_tier": (service_tier or "").lower(),
        "input_from": input_from,
    }
    rows = []
    for text in prices:
        unit, equals, price = text.partition("=")
        if not equals:
            raise typer.BadParameter(
                f"expected UNIT=USD such as input=1.5, found {text!r:.40}", param_hint="'UNIT=USD…'"
            )
        rows.append({**shared, "unit": unit, "price": price})
    _tell(ask(ctx, lambda ledger: ledger.set_prices(rows), read_models=False), as_json)


@app.command("import", epilog=example("runledger prices import contract.csv"))
def import_prices(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV, as `prices export` prints.")],
    as_json: Json = False,
) -> None:
    """List the prices of a file as own prices of the organization."""
    expect_writable(ctx)
    from runledger.prices.price_file import read_prices

    rows = read_prices(file)
    _tell(ask(ctx, lambda ledger: ledger.set_prices(rows), read_models=False), as_json)


@app.command(epilog=example("runledger prices export > contract.csv"))
def export(ctx: typer.Context) -> None:
    """Print the own prices that are in force as CSV, which `prices import` reads."""
    from runledger.prices import Price

    found = ask(ctx, lambda ledger: ledger.list_own_prices(), read_models=False)
    printing.print_csv(Price._fields, (row.row for row in found))


@app.command(epilog=example("runledger prices update"))
def update(ctx: typer.Context, as_json: Json = False) -> None:
    """Adopt the table of this version of the package, for all organizations of the ledger."""
    expect_writable(ctx)
    changed = ask_operator(ctx, lambda operator: operator.adopt_prices())
    if as_json:
        printing.print_json({"adopted": changed})
    elif changed is None:
        typer.echo("the table of this version is adopted already")
    else:
        typer.echo(f"{changed.source} adopted, {changed.prices:,} prices; {_LATER}")


def _tell(changed: "PriceChange", as_json: bool) -> None:
    if as_json:
        printing.print_json(changed)
    else:
        typer.echo(f"{changed.prices:,} prices listed at position {changed.position:,}; {_LATER}")


def _print_changes(changes: "Iterable[PriceChange]") -> None:
    numbers = ("position", "prices", "known_at")
    printing.print_table(
        ["position", "kind", "changed_at", "changed_by", "prices", "since", "known_at", "source"],
        (
            [
                f"{change.position:,}",
                change.kind,
                show_moment(change.changed_at),
                change.changed_by or "-",
                show_count(change.prices),
                show_moment(change.since),
                show_count(change.known_at),
                change.source or "-",
            ]
            for change in changes
        ),
        right=numbers,
    )


def _print_prices(rows: "Iterable[ModelPrice]") -> None:
    # Late, as it loads the table.
    from runledger.prices.table import UNITS

    printing.print_table(
        ["days", "times", "input tokens", *UNITS, "price_row", "flags"],
        (
            [
                _span(row.valid_from, row.valid_to),
                _span(row.time_from, row.time_to),
                _sizes(row.input_from, row.input_to),
                *(_price(getattr(row, unit)) for unit in UNITS),
                row.price_row,
                ", ".join(row.flags) or "-",
            ]
            for row in rows
        ),
        right=UNITS,
    )


def _span(begin: object, end: object) -> str:
    if begin is None and end is None:
        return "-"
    return f"{begin or ''}…{end or ''}"


def _sizes(least: int, most: int | None) -> str:
    if most is not None:
        return f"{least:,}…{most:,}"
    return "-" if least == 0 else f"{least:,}…"


def _price(value: Decimal | None) -> str:
    return "-" if value is None else show_price(value)
