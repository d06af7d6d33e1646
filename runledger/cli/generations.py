"""`runledger generations`: list, compare, switch and drop generations of read models."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runledger.cli import printing
from runledger.cli.options import ExplainRun, Json, Overwrite, example
from runledger.cli.settings import ask_operator
from runledger.quantities import show_moment

if TYPE_CHECKING:
    from projections.generations.manifest import GenerationManifest
    from runledger import Operator

app = typer.Typer(
    name="generations",
    help="Generations of read models; switch to one.",
    no_args_is_help=True,
)
Number = Annotated[int, typer.Argument(min=0, metavar="NUMBER", help="See `generations list`.")]


@app.command("list", epilog=example("runledger generations list --json"))
def list_generations(ctx: typer.Context, as_json: Json = False) -> None:
    """List the generations: the live one, earlier ones, and those that a replay built."""
    found = ask_operator(ctx, lambda operator: operator.generations())
    if as_json:
        printing.print_json(found)
        return
    numbers = ("number", "position", "rows", "size")
    printing.print_table(
        [*numbers, "state", "built_at", "built_from"],
        (
            [
                str(entry.number),
                f"{entry.position:,}",
                f"{sum(entry.rows.values()):,}",
                _megabytes(entry.size),
                entry.state,
                show_moment(entry.built_at),
                entry.built_from,
            ]
            for entry in found
        ),
        right=numbers,
    )


@app.command(epilog=example("runledger generations show 2"))
def show(ctx: typer.Context, number: Number, as_json: Json = False) -> None:
    """Show the manifest of a generation."""
    entry = ask_operator(ctx, lambda operator: operator.generation(number))
    if as_json:
        printing.print_json(entry)
        return
    printing.print_facts(_facts(entry))


@app.command(
    epilog=example(
        "runledger generations compare 2 --out diff.parquet",
        "runledger generations compare 2 --explain-run run-0f1e2d3c-4b5a-4678-9abc-def012345678",
    )
)
def compare(
    ctx: typer.Context,
    number: Number,
    limit: Annotated[int, typer.Option(min=0, help="Rows shown per table.")] = 5,
    explain: Annotated[int, typer.Option(min=0, help="Rows explained per table.")] = 1,
    explain_run: ExplainRun = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Parquet: every value that differs.")
    ] = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Compare a generation with the live one, both at one position."""
    from runledger.cli.comparing import print_comparison

    found = ask_operator(
        ctx,
        lambda operator: operator.compare_generation(
            number,
            limit=limit,
            explain=explain,
            explain_runs=explain_run or (),
            out=out,
            overwrite=overwrite,
        ),
    )
    if as_json:
        printing.print_json(found)
    else:
        print_comparison(found)


@app.command(epilog=example("runledger generations switch 1"))
def switch(ctx: typer.Context, number: Number, as_json: Json = False) -> None:
    """Make a generation the live one: a new one, or an old one to revert."""
    live = ask_operator(ctx, lambda operator: operator.switch_generation(number))
    if as_json:
        printing.print_json(live)
    else:
        typer.echo(f"generation {live.number} is live, at position {live.position:,}")


@app.command(epilog=example("runledger generations drop 1"))
def drop(ctx: typer.Context, number: Number, as_json: Json = False) -> None:
    """Delete a generation that is not live."""

    async def work(operator: "Operator") -> int:
        await operator.drop_generation(number)
        return number

    dropped = ask_operator(ctx, work)
    if as_json:
        printing.print_json({"dropped": dropped})
    else:
        typer.echo(f"generation {dropped} dropped")


def _facts(entry: "GenerationManifest") -> dict[str, str]:
    return {
        "number": str(entry.number),
        "state": entry.state,
        "position": f"{entry.position:,}",
        "built_at": show_moment(entry.built_at),
        "built_from": entry.built_from,
        "built_by": f"runledger {entry.built_by}",
        "seconds": "-" if entry.seconds is None else f"{entry.seconds:.1f}",
        "size": _megabytes(entry.size),
        "events": entry.events_digest[:12],
        **{f"sql {name}": digest[:12] for name, digest in entry.models.items()},
        **{f"rows {table}": f"{count:,}" for table, count in entry.rows.items()},
    }


def _megabytes(size: int | None) -> str:
    return "-" if size is None else f"{size / 2**20:,.1f} MiB"
