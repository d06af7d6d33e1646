"""`runledger keys`: create, list and revoke the keys of a server."""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from runledger.cli import parsers, printing
from runledger.cli.at_a_server import expect_store
from runledger.cli.options import Json, example
from runledger.cli.settings import Settings, tell_default

if TYPE_CHECKING:
    from runledger.server.keys import Keyring

app = typer.Typer(
    name="keys", help="Create, list and revoke the keys of a server.", no_args_is_help=True
)
_T = TypeVar("_T")


@app.command(
    epilog=example(
        "runledger keys create loop --scope runs:write --scope runs:read",
        "runledger keys create ada --organization '*' --expires 2027-01-01",
    )
)
def create(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The user of events recorded with it.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(
            help="runs:read, runs:write, log:read, sql, operate or metrics; "
            "may be repeated; all if none is named."
        ),
    ] = None,
    expires: Annotated[
        datetime | None,
        typer.Option(parser=parsers.moment, metavar="TIME", help="The time of expiry."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a key for the organization of --organization, `*` for all; it is shown once."""
    from runledger.ids import DEFAULT_ORGANIZATION
    from runledger.server.route import SCOPES

    settings: Settings = ctx.obj
    made = _with_keys(
        ctx,
        lambda keyring: keyring.create(
            name=name,
            organization=settings.organization or DEFAULT_ORGANIZATION,
            scopes=scope or SCOPES,
            expires_at=expires,
        ),
    )
    if as_json:
        shown = {"key": made.text, **{n: getattr(made.key, n) for n in _SHOWN}}
        printing.print_json(shown)
        return
    typer.echo(made.text)
    typer.echo("It is not shown again: the store keeps its hash.", err=True)


@app.command("list", epilog=example("runledger keys list"))
def list_keys(ctx: typer.Context, as_json: Json = False) -> None:
    """List all keys, including revoked ones."""
    keys = _with_keys(ctx, lambda keyring: keyring.keys())
    rows = [{name: getattr(key, name) for name in _SHOWN} for key in keys]
    if as_json:
        printing.print_json(rows)
        return
    printing.print_table(_SHOWN, [[_cell(value) for value in row.values()] for row in rows])


@app.command(epilog=example("runledger keys revoke 0aB1cD2e"))
def revoke(
    ctx: typer.Context,
    key_id: Annotated[str, typer.Argument(help="The 8 characters after `rlk_`.")],
    as_json: Json = False,
) -> None:
    """Revoke a key; running servers refuse it within a second."""
    key = _with_keys(ctx, lambda keyring: keyring.revoke(key_id))
    if as_json:
        printing.print_json({"key_id": key.key_id, "revoked_at": key.revoked_at})
    else:
        typer.echo(f"{key.key_id} revoked")


_SHOWN = ("key_id", "name", "organization", "scopes", "created_at", "expires_at", "revoked_at")


def _with_keys(ctx: typer.Context, work: "Callable[[Keyring], _T]") -> _T:
    from runledger.server.keys import Keyring
    from runledger.store import open_store

    settings: Settings = ctx.obj
    if settings.server:
        expect_store(ctx, settings.store)
    tell_default(settings, create=True)
    store = open_store(settings.store)
    try:
        return work(Keyring(store))
    finally:
        store.close()


def _cell(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return "-" if value is None else str(value)
