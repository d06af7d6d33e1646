"""`runledger views`: conditions and SQL under names."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from runledger.cli import printing
from runledger.cli.formats import Form, output
from runledger.cli.options import Json, example
from runledger.cli.settings import ask, expect_writable
from runledger.quantities import show_moment

if TYPE_CHECKING:
    from runledger.records import SavedView

app = typer.Typer(name="views", help="Save conditions and SQL under names.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="NAME", help="Letters, digits, dots, hyphens.")]


@app.command("list", epilog=example("runledger views list"))
def list_views(ctx: typer.Context, as_json: Json = False, form: Form = None) -> None:
    """List the saved views of the organization."""
    from runledger.records import SavedView

    shown = output(ctx, form, as_json, SavedView, _print_views)
    shown.add(ask(ctx, lambda ledger: ledger.list_views(), read_models=False))
    shown.end()


@app.command(epilog=example('runledger views save denied-refunds "any_tool(denied)"'))
def save(
    ctx: typer.Context,
    name: Name,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="A condition, or a SELECT.")],
    sql: Annotated[bool, typer.Option("--sql", help="TEXT is one SELECT.")] = False,
    as_json: Json = False,
) -> None:
    """Save a condition for --view, or a SELECT; a view of the same name is replaced."""
    expect_writable(ctx)
    saved = ask(
        ctx,
        lambda ledger: ledger.save_view(name, text, kind="sql" if sql else "runs"),
        read_models=False,
    )
    if as_json:
        printing.print_json(saved)
    else:
        typer.echo(f"{saved.name} saved")


@app.command(epilog=example("runledger views remove denied-refunds"))
def remove(ctx: typer.Context, name: Name, as_json: Json = False) -> None:
    """Remove a saved view."""
    expect_writable(ctx)
    removed = ask(ctx, lambda ledger: ledger.remove_view(name), read_models=False)
    if as_json:
        printing.print_json({"removed": removed})
    else:
        typer.echo(f"{name} removed" if removed else f"{name}: there was no such view")


def _print_views(views: "Iterable[SavedView]") -> None:
    printing.print_table(
        ["name", "kind", "saved_at", "saved_by", "text"],
        (
            [view.name, view.kind, show_moment(view.saved_at), view.saved_by or "-", view.text]
            for view in views
        ),
    )
