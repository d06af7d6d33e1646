"""Where the numbers of the server are read: by keys with the scope `metrics`, or from here."""

import ipaddress
from typing import Final

from starlette.responses import Response

from runledger.errors import ReadModelsMissing
from runledger.server.call import Call
from runledger.server.metrics import CONTENT_TYPE
from runledger.server.route import Lenient, Route


async def numbers(call: Call[Lenient, None]) -> Response:
    """Return all numbers; without a key to clients of this machine alone."""
    services = call.services
    if not _local(call.client):
        (await services.authentication.caller(call.headers)).expect("metrics")
    metrics = services.metrics
    head = await services.head()
    metrics.position.set(head)
    try:
        metrics.lag.set(max(0, head - services.ledger.read_models.position))
    except ReadModelsMissing:
        metrics.lag.set(float("nan"))
    metrics.streams.set(services.streams.open)
    metrics.active.set(services.requests.active)
    metrics.count_killed(services.sql.killed)
    return Response(metrics.written(), media_type=CONTENT_TYPE)


def _local(client: str | None) -> bool:
    # A Unix socket has no client; only this user can open it.
    return client is None or ipaddress.ip_address(client).is_loopback


ROUTES: Final = (
    Route(
        "GET",
        "/metrics",
        "metrics",
        numbers,
        scope=None,
        produces=("text/plain",),
        errors=(401, 403),
    ),
)
