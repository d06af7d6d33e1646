"""POST /v1/traces: spans are kept, then acknowledged; runs are made of them afterwards."""

import asyncio
import json
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from starlette.responses import Response

from runledger.errors import InvalidArgument
from runledger.importers.otlp import otlp_json, otlp_protobuf
from runledger.importers.otlp.span import Span
from runledger.inbox.inbox import Inbox
from runledger.server.call import Call
from runledger.server.otlp.answers import PROTOBUF, accepted, is_json, refused
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
            produces=(PROTOBUF, JSON),
            errors=(400, 413, 415, 503),
            summary="Keep spans of OpenTelemetry, of which runs are made.",
        ),
        _not_received("logs", "OTEL_LOGS_EXPORTER"),
        _not_received("metrics", "OTEL_METRICS_EXPORTER"),
    ]


def _not_received(signal: str, variable: str) -> Route:
    """Return the route of a signal that is not received: to take it and drop it would be a lie."""

    async def refuse(_: Call[Lenient, bytes]) -> Response:
        raise Refusal(
            404,
            f"{signal} are not received, only traces: set {variable}=none; for traces, "
            f"OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf, since gRPC is not received either",
        )

    return Route(
        "POST",
        f"/v1/{signal}",
        f"export_{signal}",
        refuse,
        "runs:write",
        takes=(PROTOBUF, JSON),
        gzip=True,
        raw=True,
        most=MOST,
        refused=refused,
        produces=(PROTOBUF, JSON),
        errors=(404,),
        summary=f"Say that {signal} of OpenTelemetry are not received.",
    )


def decode(body: bytes, headers: Mapping[str, str], organization: str) -> Decoded:
    """Return the spans of a request's body; raise Refusal with status 400 for what is none."""
    try:
        spans = list(_json(body) if is_json(headers) else otlp_protobuf.spans(body))
    except (InvalidArgument, ValueError, RecursionError) as e:
        raise Refusal(400, f"body: {e!s:.200}") from None
    kept = [
        SpanRow(organization, span.trace_id, span.span_id, span.to_json())
        for span in spans
        if span.valid
    ]
    return Decoded(kept, len(spans) - len(kept))


def _json(body: bytes) -> Iterable[Span]:
    document = json.loads(body) if body else {}
    if not isinstance(document, dict):
        raise InvalidArgument(f"expected an object with resourceSpans, found {document!r:.80}")
    return otlp_json.spans(document)
