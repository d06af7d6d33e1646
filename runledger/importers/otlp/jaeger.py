"""Spans of Jaeger's query interface: `data[].spans[]`, whose tags are typed."""

from collections.abc import Iterator, Mapping
from typing import Any

from runledger.importers.otlp.ids import hex_id
from runledger.importers.otlp.otlp_json import nanoseconds
from runledger.importers.otlp.span import Happening, Span, as_json_value


def spans(trace: Mapping[str, Any]) -> Iterator[Span]:
    """Yield the spans of one trace of a query's result."""
    processes = trace.get("processes")
    for given in trace.get("spans") or ():
        if isinstance(given, dict):
            yield _span(given, processes if isinstance(processes, dict) else {})


def _span(given: Mapping[str, Any], processes: Mapping[str, Any]) -> Span:
    tags = _tags(given.get("tags"))
    process = processes.get(given.get("processID") or "")
    process = process if isinstance(process, dict) else {}
    trace_id = _trace_id(given.get("traceID"))
    parent, links = "", []
    for reference in given.get("references") or ():
        other = _trace_id(reference.get("traceID"))
        if reference.get("refType") == "CHILD_OF" and other == trace_id and not parent:
            parent = hex_id(reference.get("spanID"))
        elif other != trace_id:
            links.append(other)
    start_ns = nanoseconds(given.get("startTime")) * 1000
    code = tags.pop("otel.status_code", None)
    return Span(
        trace_id=trace_id,
        span_id=hex_id(given.get("spanID")).rjust(16, "0"),
        parent_id=parent or hex_id(given.get("parentSpanID")),
        name=str(given.get("operationName") or ""),
        start_ns=start_ns,
        end_ns=start_ns + nanoseconds(given.get("duration")) * 1000,
        failed=code == "ERROR" or (code is None and tags.get("error") is True),
        status_message=str(tags.pop("otel.status_description", "") or ""),
        scope_name=str(tags.pop("otel.scope.name", "") or ""),
        scope_version=str(tags.pop("otel.scope.version", "") or ""),
        attributes=tags,
        happenings=tuple(_happening(one) for one in given.get("logs") or ()),
        links=tuple(links),
        resource={**_tags(process.get("tags")), "service.name": process.get("serviceName")},
    )


def _happening(given: Mapping[str, Any]) -> Happening:
    fields = _tags(given.get("fields"))
    name = str(fields.pop("event", "") or "")
    return Happening(name, nanoseconds(given.get("timestamp")) * 1000, fields)


def _tags(given: Any) -> dict[str, Any]:
    listed = given if isinstance(given, list) else []
    return {
        one["key"]: as_json_value(one.get("value"))
        for one in listed
        if isinstance(one, dict) and isinstance(one.get("key"), str)
    }


def _trace_id(value: Any) -> str:
    # Jaeger shortens ids of 64 bits.
    return hex_id(value).rjust(32, "0")
