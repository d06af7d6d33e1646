"""`runledger dispatch`: deliver callbacks, separate from any number of writers."""

from pathlib import Path
from typing import Annotated

import typer

from runledger.cli.options import example
from runledger.cli.settings import fields, given

app = typer.Typer()


@app.command(
    epilog=example(
        "RUNLEDGER_CALLBACK_KEYS=whsec_… runledger dispatch",
        "runledger dispatch --keys-file /etc/runledger/keys --allowed-host hooks.internal",
    )
)
def dispatch(
    ctx: typer.Context,
    keys_file: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            envvar="RUNLEDGER_CALLBACK_KEYS_FILE",
            help="Keys that sign; a line is KEY or ORGANIZATION KEY, a key whsec_… or whsk_….",
        ),
    ] = None,
    allowed_host: Annotated[
        list[str] | None,
        typer.Option(
            envvar="RUNLEDGER_CALLBACK_ALLOWED_HOSTS",
            help="May resolve to private addresses; may be repeated.",
        ),
    ] = None,
    allow_private_callbacks: Annotated[
        bool | None,
        typer.Option(
            "--allow-private-callbacks",
            envvar="RUNLEDGER_CALLBACK_ALLOW_PRIVATE",
            help="For development: allow this for any host.",
        ),
    ] = None,
    allow_http: Annotated[
        bool | None,
        typer.Option(
            "--allow-http",
            envvar="RUNLEDGER_CALLBACK_ALLOW_HTTP",
            help="For development: http as well as https.",
        ),
    ] = None,
    thin: Annotated[
        bool | None,
        typer.Option(
            "--thin",
            envvar="RUNLEDGER_CALLBACK_THIN",
            help="Send only the outcome, without metadata and result.",
        ),
    ] = None,
) -> None:
    """Deliver callbacks until SIGINT or SIGTERM.

    One dispatcher of a store sends, the others wait to take over. Keys may also be given in
    RUNLEDGER_CALLBACK_KEYS, separated by spaces.
    """
    import asyncio
    import logging

    from runledger.callbacks import CallbackSettings, dispatch

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    chosen = fields(
        allow_private_callbacks=allow_private_callbacks, allow_http=allow_http, thin=thin
    )
    if allowed_host:
        chosen["allowed_hosts"] = frozenset(allowed_host)
    settings = CallbackSettings.from_environment(keys_file=keys_file, **chosen)
    asyncio.run(dispatch(given(ctx).store, settings))
