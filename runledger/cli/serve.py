"""`runledger serve`: an HTTP server for the ledger."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from runledger.cli import parsers
from runledger.cli.options import example
from runledger.cli.settings import acting, given, tell_default

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

app = typer.Typer()
_PORT: Final = 8283


@app.command(
    epilog=example("runledger serve", "runledger serve --port 9000 --allowed-host ledger.example")
)
def serve(
    ctx: typer.Context,
    host: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Listen there instead of on the loopback addresses."),
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0 takes a free one.")] = _PORT,
    otlp_port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65_535, help="Listen there too; exporters of OpenTelemetry look at 4318."
        ),
    ] = None,
    otlp_retention: Annotated[
        Any,
        typer.Option(
            parser=parsers.duration,
            metavar="DURATION",
            help="How long spans are kept whole after the last of their trace, such as 12h.",
        ),
    ] = "7d",
    allowed_host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A name of this server, such as a proxy's; repeatable."),
    ] = None,
    allowed_origin: Annotated[
        list[str] | None,
        typer.Option(metavar="ORIGIN", help="An origin whose pages may send requests; repeatable."),
    ] = None,
    writer: Annotated[
        bool,
        typer.Option(
            "--writer", help="Without read models: any number of such servers write to one store."
        ),
    ] = False,
    callbacks: Annotated[
        bool, typer.Option("--callbacks", help="Deliver callbacks too, as `dispatch` does.")
    ] = False,
    operations_dir: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where long operations write; beside the read models if none is named.",
        ),
    ] = None,
    publish: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Publish copies of the read models there, for others."),
    ] = None,
    publish_every: Annotated[
        Any,
        typer.Option(parser=parsers.duration, metavar="DURATION", help="How often, such as 5s."),
    ] = "5s",
    max_requests: Annotated[
        int, typer.Option(min=1, help="Requests that are answered at once.")
    ] = 64,
    max_streams: Annotated[int, typer.Option(min=1, help="Streams that are open at once.")] = 1_000,
    max_streams_per_key: Annotated[
        int, typer.Option(min=1, help="Streams that are open at once with one key.")
    ] = 100,
    access_log: Annotated[
        bool, typer.Option("--access-log/--no-access-log", help="Log requests on stderr.")
    ] = True,
) -> None:
    """Serve the ledger over HTTP, until Ctrl-C or SIGTERM.

    The official client of the replaced system works on it unmodified, at its default address.
    """
    import asyncio

    from runledger import RunLedger

    try:
        from runledger.server.limits import Limits
        from runledger.server.serve import Options
        from runledger.server.serve import serve as served
        from runledger.web.mount import mount_page
    except ModuleNotFoundError as e:
        typer.echo(
            f"runledger: serve needs {e.name}: pip install 'run-event-ledger[server]'", err=True
        )
        raise typer.Exit(1) from e

    settings = given(ctx)
    tell_default(settings, create=True)
    ledger = RunLedger.open(
        settings.store,
        None if writer else settings.read_models,
        archive=settings.archive,
        actor=acting(settings),
        callbacks=callbacks,
    )
    options = Options(
        host,
        port,
        otlp_port,
        otlp_retention.total_seconds(),
        tuple(allowed_host or ()),
        tuple(allowed_origin or ()),
        limits=Limits(
            requests=max_requests, streams=max_streams, streams_per_key=max_streams_per_key
        ),
        access_log=access_log,
        publish=publish,
        publish_seconds=publish_every.total_seconds(),
        operations_folder=None
        if writer
        else operations_dir or Path(f"{settings.read_models}.operations"),
    )

    def ready(sockets: "Sequence[socket.socket]") -> None:
        name = host or "localhost"
        if host in ("0.0.0.0", "::"):
            name = options.allowed_hosts[0] if options.allowed_hosts else "localhost"
        shown = f"[{name}]" if ":" in name else name
        _greet(ledger.store.url, f"http://{shown}:{sockets[0].getsockname()[1]}")

    asyncio.run(served(ledger, options, actor=acting(settings), extend=mount_page, ready=ready))


def _greet(store: str, address: str) -> None:
    typer.echo(
        f"""runledger serves {store} at {address}

Open it in a browser to look at the runs.

What to paste next:

  curl {address}/v1/runs/
  curl {address}/api/v1/runs -H 'Content-Type: application/json' -d '{{"agent_id": "agent-first"}}'
  python -c "import letta_client as l; print(l.Letta(base_url='{address}').runs.list().items)"
"""
    )
