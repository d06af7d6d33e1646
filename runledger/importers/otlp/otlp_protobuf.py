"""Spans in OTLP's protobuf: of a request, and of a file of messages with their lengths before them.

Needs opentelemetry-proto, which comes with the extra `server`.
"""

from collections.abc import Iterator

from runledger.importers.otlp.any_value import message_attributes
from runledger.importers.otlp.protobuf_message import parsed
from runledger.importers.otlp.span import Happening, Span

_ERROR = 2


def spans(body: bytes) -> Iterator[Span]:
    """Yield the spans of an ExportTraceServiceRequest, which is a TracesData as well.

    Raises InvalidArgument, before the first span, for bytes that are none, and ImportFailed if
    opentelemetry-proto is not installed.
    """
    message = parsed(body, "trace.v1.trace_pb2", "TracesData", "ExportTraceServiceRequest")
    for resource_spans in message.resource_spans:
        resource = message_attributes(resource_spans.resource.attributes)
        for scope_spans in resource_spans.scope_spans:
            scope = scope_spans.scope
            for one in scope_spans.spans:
                parent = one.parent_span_id.hex()
                yield Span(
                    trace_id=one.trace_id.hex(),
                    span_id=one.span_id.hex(),
                    parent_id=parent if parent.strip("0") else "",
                    name=one.name,
                    start_ns=one.start_time_unix_nano,
                    end_ns=one.end_time_unix_nano,
                    failed=one.status.code == _ERROR,
                    status_message=one.status.message,
                    attributes=message_attributes(one.attributes),
                    happenings=tuple(
                        Happening(
                            event.name,
                            event.time_unix_nano,
                            message_attributes(event.attributes),
                        )
                        for event in one.events
                    ),
                    links=tuple(link.trace_id.hex() for link in one.links),
                    scope_name=scope.name,
                    scope_version=scope.version,
                    resource=resource,
                )


def messages(content: bytes) -> list[bytes]:
    """Return the messages of a file: each after its length, or the whole file as one."""
    found, place = [], 0
    while place < len(content):
        length, place = _length(content, place)
        if length is None or place + length > len(content):
            return [content]
        found.append(content[place : place + length])
        place += length
    return found


def _length(content: bytes, place: int) -> tuple[int | None, int]:
    """Return the varint at a place, and the place after it."""
    value = 0
    for shift in range(0, 35, 7):
        if place >= len(content):
            return None, place
        byte = content[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    return None, place
