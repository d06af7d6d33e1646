"""`runledger serve`: the ledger as one address."""

from typing import TYPE_CHECKING, Annotated

import typer

from runledger.cli.options import example
from runledger.cli.settings import acting, given

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

app = typer.Typer()
PORT = 8283


@app.command(
    epilog=example("runledger serve", "runledger serve --port 9000 --allowed-host ledger.example")
)
def serve(
    ctx: typer.Context,
    host: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Listen there instead of on the loopback addresses."),
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0 takes a free one.")] = PORT,
    allowed_host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A name that leads here, such as a proxy's; repeatable."),
    ] = None,
    allowed_origin: Annotated[
        list[str] | None,
        typer.Option(metavar="ORIGIN", help="An origin whose pages may ask; repeatable."),
    ] = None,
) -> None:
    """Serve the ledger over HTTP, until Ctrl-C or SIGTERM.

    The official client of the replaced system works on it unmodified, at its default address.
    """
    import asyncio

    from runledger import RunLedger

    try:
        from runledger.server.serve import Options
        from runledger.server.serve import serve as served
    except ModuleNotFoundError as e:
        typer.echo(
            f"runledger: serve needs {e.name}: pip install 'run-event-ledger[server]'", err=True
        )
        raise typer.Exit(1) from e

    settings = given(ctx)
    ledger = RunLedger.open(
        settings.store, settings.read_models, archive=settings.archive, actor=acting(settings)
    )
    options = Options(host, port, tuple(allowed_host or ()), tuple(allowed_origin or ()))

    def ready(sockets: "Sequence[socket.socket]") -> None:
        address = "http://localhost" if host is None else f"http://{host}"
        typer.echo(f"runledger serves {settings.store} at {address}:{sockets[0].getsockname()[1]}")

    asyncio.run(served(ledger, options, actor=acting(settings), ready=ready))
