"""POST /v1/logs: events that tell calls of models are kept like spans; no others are."""

import asyncio
from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from runledger.importers.otlp.conventions import conventions
from runledger.importers.otlp.log_record import LogRecord, from_document, from_protobuf
from runledger.importers.otlp.span import Span
from runledger.inbox.inbox import Inbox
from runledger.server.call import Call
from runledger.server.otlp.answers import LOGS, accepted
from runledger.server.otlp.export_request import Decoded, decoded, export_route, rows_of
from runledger.server.refusal import Refusal
from runledger.server.route import Lenient, Route

_REFUSED: Final = "kept are events that tell calls of models; see docs/opentelemetry.md"


def logs_route(inbox: Inbox, most: int) -> Route:
    """Return the route that keeps log events in an inbox; `most` bytes are taken in a request."""

    async def export(call: Call[Lenient, bytes]) -> Response:
        found = await asyncio.to_thread(decode, call.body, call.headers, call.actor.organization)
        if found.refused and not found.rows:
            raise Refusal(
                404,
                f"no event that tells a call of a model, among {found.refused:,} log records: such "
                f"are {', '.join(conventions().logs)}; other logs are not received: set "
                "OTEL_LOGS_EXPORTER=none; for traces, "
                "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf, since gRPC is not received either",
            )
        await inbox.keep(found.rows)
        return accepted(call.headers, LOGS, found.refused, _REFUSED)

    return export_route(
        "logs",
        export,
        most,
        (400, 404, 413, 415, 503),
        "Keep log events of OpenTelemetry that tell calls of models.",
    )


def decode(body: bytes, headers: Mapping[str, str], organization: str) -> Decoded:
    """Return the events of a request's body; raise Refusal with status 400 for what is none."""
    records = decoded(body, headers, "resourceLogs", from_document, from_protobuf)
    spans = [span for record in records if (span := _span(record)) is not None]
    return Decoded(rows_of(organization, spans), len(records) - len(spans))


def _span(record: LogRecord) -> Span | None:
    row = record.row(conventions())
    return record.as_span(row) if row is not None else None
