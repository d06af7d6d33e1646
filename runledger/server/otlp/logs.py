"""POST /v1/logs: events that tell calls of models are kept like spans; no others are."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from starlette.responses import Response

from runledger.errors import InvalidArgument
from runledger.importers.otlp.conventions import conventions
from runledger.importers.otlp.log_record import LogRecord, from_document, from_protobuf
from runledger.importers.otlp.span import Span
from runledger.inbox.inbox import Inbox
from runledger.server.call import Call
from runledger.server.otlp.answers import PROTOBUF, accepted_logs, as_document, is_json, refused
from runledger.server.refusal import Refusal
from runledger.server.route import JSON, Lenient, Route
from runledger.store.spans import SpanRow

_REFUSED: Final = "kept are events that tell calls of models; see docs/opentelemetry.md"


class Records(NamedTuple):
    """What a request has: rows of events that can be kept, and how many records are no such."""

    rows: list[SpanRow]
    refused: int


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
        return accepted_logs(call.headers, found.refused, _REFUSED)

    return Route(
        "POST",
        "/v1/logs",
        "export_logs",
        export,
        "runs:write",
        takes=(PROTOBUF, JSON),
        gzip=True,
        raw=True,
        most=most,
        refused=refused,
        answer=dict[str, Any],
        produces=(PROTOBUF, JSON),
        errors=(400, 404, 413, 415, 503),
        summary="Keep log events of OpenTelemetry that tell calls of models.",
    )


def decode(body: bytes, headers: Mapping[str, str], organization: str) -> Records:
    """Return the events of a request's body; raise Refusal with status 400 for what is none."""
    try:
        records = list(
            from_document(as_document(body, "resourceLogs"))
            if is_json(headers)
            else from_protobuf(body)
        )
    except (InvalidArgument, ValueError, RecursionError) as e:
        raise Refusal(400, f"body: {e!s:.200}") from None
    spans = [span for record in records if (span := _span(record)) is not None]
    rows = [SpanRow(organization, span.trace_id, span.span_id, span.to_json()) for span in spans]
    return Records(rows, len(records) - len(rows))


def _span(record: LogRecord) -> Span | None:
    row = record.row(conventions())
    return record.as_span(row) if row is not None else None
