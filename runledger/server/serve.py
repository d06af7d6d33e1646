"""Opens the ledger of this process and serves it."""

import asyncio
import ipaddress
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from runledger.errors import InvalidArgument
from runledger.importers.otlp.assembly import RETENTION, Waiting
from runledger.ledger import RunLedger
from runledger.run import Actor
from runledger.server.access_log import AccessLog
from runledger.server.app import Application
from runledger.server.browser_rules import BrowserRules
from runledger.server.limits import Limits
from runledger.server.otlp.receiver import receiving
from runledger.server.projector import keep_projecting, keep_publishing
from runledger.server.services import Services
from runledger.server.serving import PORT, Serving, bind


@dataclass(frozen=True, slots=True)
class Options:
    """Where a server listens, and which names lead to it.

    `host` None means both loopback addresses. On `otlp_port`, if there is one, the server listens
    as well: exporters of OpenTelemetry look for it at 4318. `allowed_hosts` and `allowed_origins`
    are as in BrowserRules. `access_log` says whether requests are logged on stderr.
    `operations_folder` is where long operations write; None for a server that does none;
    `otlp_retention` is for how many seconds after its last span a trace's spans are kept whole.
    `publish` is the folder where copies of the read models are published, None for nowhere.
    """

    host: str | None = None
    port: int = PORT
    otlp_port: int | None = None
    otlp_retention: float = RETENTION
    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    access_log: bool = True
    operations_folder: Path | None = None
    publish: Path | None = None
    publish_seconds: float = 5.0


async def serve(
    ledger: RunLedger,
    options: Options,
    *,
    actor: Actor | None = None,
    extend: Callable[[Application], None] = lambda _: None,
    ready: Callable[[Sequence[socket.socket]], None] = lambda _: None,
) -> None:
    """Serve a ledger until a signal says stop.

    The sockets are bound before the ledger is opened, so that a port that is taken costs nothing.

    Parameters:
        ledger: is not open yet, and is closed at the end.
        options: where to listen.
        actor: acts if the store has no keys; the default organization without.
        extend: adds routes and pages before the first request.
        ready: is called with the sockets once connections are accepted.

    Raises:
        InvalidArgument: for an address or a port that cannot be listened on, or one that other
            machines reach while there are no keys.
    """
    sockets = bind(options.host, options.port)
    if options.otlp_port is not None:
        try:
            sockets += bind(options.host, options.otlp_port)
        except InvalidArgument:
            for one in sockets:
                one.close()
            raise
    ports = {one.getsockname()[1] for one in sockets}
    rules = BrowserRules(ports, options.allowed_hosts, options.allowed_origins)
    try:
        async with ledger:
            services = Services(
                ledger,
                actor or Actor(),
                options.limits,
                operations_folder=options.operations_folder,
            )
            if not _local(sockets) and not await services.authentication.keys():
                raise InvalidArgument(
                    f"address {options.host}: expected keys, since other machines reach it, found "
                    f"none; make one with `runledger keys create NAME`"
                )
            log = AccessLog(quiet=not options.access_log)
            application = Application(services, rules, log=log)
            extend(application)
            beside = [asyncio.create_task(keep_projecting(ledger))]
            if options.publish is not None:
                published = keep_publishing(ledger, options.publish, options.publish_seconds)
                beside.append(asyncio.create_task(published))
            try:
                async with receiving(application, Waiting(retention=options.otlp_retention)):
                    await Serving(application).run_on(sockets, lambda: ready(sockets))
            finally:
                for task in beside:
                    task.cancel()
                await services.close()
    finally:
        for one in sockets:
            one.close()


def _local(sockets: Sequence[socket.socket]) -> bool:
    return all(ipaddress.ip_address(one.getsockname()[0]).is_loopback for one in sockets)
