"""Spans in OTLP's JSON, and in the older forms of it that files have.

https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding: ids are hexadecimal, 64 bits may
be text, unknown fields are passed over. Protobuf's own JSON mapping has ids in base64, so it is not
used.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from runledger.importers.otlp.any_value import attributes
from runledger.importers.otlp.ids import hex_id
from runledger.importers.otlp.span import Happening, Span

RESOURCE_SPANS: Final = ("resourceSpans", "resource_spans", "batches")
"""Where a document has its spans; Tempo calls them batches."""
_SCOPE_SPANS: Final = ("scopeSpans", "instrumentationLibrarySpans")
_SCOPES: Final = ("scope", "instrumentationLibrary")
_ERROR: Final = (2, "2", "STATUS_CODE_ERROR")


def spans(document: Mapping[str, Any]) -> Iterator[Span]:
    """Yield the spans of an ExportTraceServiceRequest; a span may be invalid by its ids."""
    for resource_spans in objects(document, *RESOURCE_SPANS):
        resource = attributes(one_object(resource_spans, "resource").get("attributes"))
        for scope_spans in objects(resource_spans, *_SCOPE_SPANS):
            scope = one_object(scope_spans, *_SCOPES)
            for given in objects(scope_spans, "spans"):
                yield _span(given, _text(scope.get("name")), _text(scope.get("version")), resource)


def _span(
    given: Mapping[str, Any], scope_name: str, scope_version: str, resource: dict[str, Any]
) -> Span:
    status = one_object(given, "status")
    return Span(
        trace_id=hex_id(given.get("traceId")),
        span_id=hex_id(given.get("spanId")),
        parent_id=parent_of(given.get("parentSpanId")),
        name=_text(given.get("name")),
        start_ns=nanoseconds(given.get("startTimeUnixNano")),
        end_ns=nanoseconds(given.get("endTimeUnixNano")),
        failed=status.get("code") in _ERROR,
        status_message=_text(status.get("message")),
        attributes=attributes(given.get("attributes")),
        happenings=tuple(
            Happening(
                _text(one.get("name")),
                nanoseconds(one.get("timeUnixNano")),
                attributes(one.get("attributes")),
            )
            for one in objects(given, "events")
        ),
        links=tuple(hex_id(one.get("traceId")) for one in objects(given, "links")),
        scope_name=scope_name,
        scope_version=scope_version,
        resource=resource,
    )


def parent_of(value: Any) -> str:
    """Return the id of a parent; one of zeros is none."""
    found = hex_id(value)
    return found if found.strip("0") else ""


def nanoseconds(value: Any) -> int:
    """Return a time; 0 for what is none."""
    if isinstance(value, str) and value.isdecimal() and len(value) <= 20:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0


def objects(given: Mapping[str, Any], *keys: str) -> Iterator[Mapping[str, Any]]:
    """Yield the objects that are listed under any of these keys."""
    for key in keys:
        listed = given.get(key)
        if isinstance(listed, list):
            yield from (one for one in listed if isinstance(one, dict))


def one_object(given: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    """Return the object under the first of these keys that has one; an empty one if none has."""
    found = next((given[key] for key in keys if isinstance(given.get(key), dict)), None)
    return {} if found is None else found


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
