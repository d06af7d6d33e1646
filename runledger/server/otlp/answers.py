"""Answers of the receiver, in the encoding of the request: OTLP's responses and google.rpc.Status.

An exporter sends again what was answered by 429, 502, 503 or 504, and drops what got any other
error: the receiver never answers 500.
"""

import json
from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final, NamedTuple

from starlette.responses import Response

from runledger.errors import InvalidArgument
from runledger.server.refusal import Refusal
from runledger.server.route import JSON

PROTOBUF: Final = "application/x-protobuf"
RETRY_SECONDS: Final = 1
"""Exporters wait 10 seconds in all; some give up at once if more is asked for."""
_AGAIN: Final = (408, 429, 500, 502, 503, 504)
_CODES: Final = {400: 3, 401: 16, 403: 7, 404: 5, 413: 8, 415: 3, 422: 3, 429: 8, 503: 14}
"""HTTP status → google.rpc.Code, https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto"""
_UNKNOWN: Final = 2


class Signal(NamedTuple):
    """The names by which OTLP answers one kind of what it sends.

    `service` is the module of opentelemetry.proto.collector that has the class `response`.
    """

    service: str
    response: str
    rejected: str
    rejected_in_json: str


TRACES: Final = Signal(
    "trace.v1.trace_service_pb2", "ExportTraceServiceResponse", "rejected_spans", "rejectedSpans"
)
LOGS: Final = Signal(
    "logs.v1.logs_service_pb2",
    "ExportLogsServiceResponse",
    "rejected_log_records",
    "rejectedLogRecords",
)


def is_json(headers: Mapping[str, str]) -> bool:
    """Whether a request is JSON; all else is answered in protobuf, OTLP's default."""
    return headers.get("content-type", "").partition(";")[0].strip().lower() == JSON


def as_document(body: bytes, key: str) -> Mapping[str, Any]:
    """Return a body in JSON, an object with `key`; raise InvalidArgument for what is none."""
    document = json.loads(body) if body else {}
    if not isinstance(document, dict):
        raise InvalidArgument(f"expected an object with {key}, found {document!r:.80}")
    return document


def accepted(headers: Mapping[str, str], signal: Signal, refused: int, reason: str) -> Response:
    """Return the answer to what is durable; `refused` of it can never be."""
    if is_json(headers):
        told = {signal.rejected_in_json: str(refused), "errorMessage": reason}
        return Response(json.dumps({"partialSuccess": told} if refused else {}), 200, None, JSON)
    service = import_module(f"opentelemetry.proto.collector.{signal.service}")
    message = getattr(service, signal.response)()
    if refused:
        setattr(message.partial_success, signal.rejected, refused)
        message.partial_success.error_message = reason
    return Response(message.SerializeToString(), 200, None, PROTOBUF)


def refused(refusal: Refusal, headers: Mapping[str, str]) -> Response:
    """Return a refusal as google.rpc.Status; what may succeed later is 503."""
    status = 503 if refusal.status in _AGAIN else refusal.status
    more = {**refusal.headers}
    if status == 503:
        more["Retry-After"] = str(RETRY_SECONDS)
    if refusal.close:
        more["Connection"] = "close"
    code = _CODES.get(status, _UNKNOWN)
    if is_json(headers):
        body = json.dumps({"code": code, "message": refusal.detail}).encode()
        return Response(body, status, more, JSON)
    said = refusal.detail.encode(errors="backslashreplace")
    return Response(_status(code, said), status, more, PROTOBUF)


def _status(code: int, message: bytes) -> bytes:
    """Return a google.rpc.Status: two fields, whose package need not be installed for that."""
    return b"\x08" + _varint(code) + b"\x12" + _varint(len(message)) + message


def _varint(number: int) -> bytes:
    made = bytearray()
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*made, number])
