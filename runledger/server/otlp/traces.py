"""POST /v1/traces: spans are kept, then acknowledged; runs are made of them afterwards."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from starlette.responses import Response

from runledger.errors import InvalidArgument
from runledger.importers.otlp import otlp_json, otlp_protobuf
from runledger.inbox.inbox import Inbox
from runledger.server.call import Call
from runledger.server.otlp.answers import PROTOBUF, accepted, as_document, is_json, refused
from runledger.server.otlp.logs import logs_route
from runledger.server.refusal import Refusal
from runledger.server.route import JSON, Lenient, Route
from runledger.store.spans import SpanRow

MOST: Final = 20 << 20
"""Bytes of a request, before and after unpacking, as the Collector has it."""
_EXPECTED: Final = "expected ids of 16 and 8 bytes that are not all zero"


class Decoded(NamedTuple):
    """The spans of a request that can be kept, and how many cannot."""

    rows: list[SpanRow]
    refused: int


def routes(inbox: Inbox) -> list[Route]:
    """Return the routes of a receiver that keeps spans in an inbox."""

    async def export(call: Call[Lenient, bytes]) -> Response:
        decoded = await asyncio.to_thread(decode, call.body, call.headers, call.actor.organization)
        await inbox.keep(decoded.rows)
        return accepted(call.headers, decoded.refused, _EXPECTED)

    return [
        Route(
            "POST",
            "/v1/traces",
            "export_traces",
            export,
            "runs:write",
            takes=(PROTOBUF, JSON),
            gzip=True,
            raw=True,
            most=MOST,
            refused=refused,
            answer=dict[str, Any],
            produces=(PROTOBUF, JSON),
            errors=(400, 413, 415, 503),
            summary="Keep spans of OpenTelemetry, of which runs are made.",
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

    return Route(
        "POST",
        "/v1/metrics",
        "export_metrics",
        refuse,
        "runs:write",
        takes=(PROTOBUF, JSON),
        gzip=True,
        raw=True,
        most=MOST,
        refused=refused,
        answer=dict[str, Any],
        produces=(PROTOBUF, JSON),
        errors=(404,),
        summary="Say that metrics of OpenTelemetry are not received.",
    )


def decode(body: bytes, headers: Mapping[str, str], organization: str) -> Decoded:
    """Return the spans of a request's body; raise Refusal with status 400 for what is none."""
    try:
        spans = list(
            otlp_json.spans(as_document(body, "resourceSpans"))
            if is_json(headers)
            else otlp_protobuf.spans(body)
        )
    except (InvalidArgument, ValueError, RecursionError) as e:
        raise Refusal(400, f"body: {e!s:.200}") from None
    kept = [
        SpanRow(organization, span.trace_id, span.span_id, span.to_json())
        for span in spans
        if span.valid
    ]
    return Decoded(kept, len(spans) - len(kept))
