"""POST /v1/traces: spans are kept, then acknowledged; runs are made of them afterwards."""

import asyncio
from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from runledger.importers.otlp import otlp_json, otlp_protobuf
from runledger.inbox.inbox import Inbox
from runledger.server.call import Call
from runledger.server.otlp.answers import TRACES, accepted
from runledger.server.otlp.export_request import Decoded, decoded, export_route, rows_of
from runledger.server.otlp.logs import logs_route
from runledger.server.refusal import Refusal
from runledger.server.route import Lenient, Route

MOST: Final = 20 << 20
"""Bytes of a request, before and after unpacking, as the Collector has it."""
_EXPECTED: Final = "expected ids of 16 and 8 bytes that are not all zero"


def routes(inbox: Inbox) -> list[Route]:
    """Return the routes of a receiver that keeps spans in an inbox."""

    async def export(call: Call[Lenient, bytes]) -> Response:
        found = await asyncio.to_thread(decode, call.body, call.headers, call.actor.organization)
        await inbox.keep(found.rows)
        return accepted(call.headers, TRACES, found.refused, _EXPECTED)

    return [
        export_route(
            "traces",
            export,
            MOST,
            (400, 413, 415, 503),
            "Keep spans of OpenTelemetry, of which runs are made.",
        ),
        logs_route(inbox, MOST),
        _metrics_route(),
    ]


def _metrics_route() -> Route:
    """Return the route of metrics, which are not received: to take and drop them would be a lie."""

    async def refuse(_: Call[Lenient, bytes]) -> Response:
        raise Refusal(
            404,
            "metrics are not received, only traces and some logs: set OTEL_METRICS_EXPORTER=none; "
            "for traces, OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf, as gRPC is not received either",
        )

    return export_route(
        "metrics", refuse, MOST, (404,), "Say that metrics of OpenTelemetry are not received."
    )


def decode(body: bytes, headers: Mapping[str, str], organization: str) -> Decoded:
    """Return the spans of a request's body; raise Refusal with status 400 for what is none."""
    spans = decoded(body, headers, "resourceSpans", otlp_json.spans, otlp_protobuf.spans)
    kept = [span for span in spans if span.valid]
    return Decoded(rows_of(organization, kept), len(spans) - len(kept))
