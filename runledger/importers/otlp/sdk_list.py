"""Spans as SDKs print them: one object each, attributes as an object."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from runledger.importers.otlp.any_value import plain_attributes
from runledger.importers.otlp.ids import hex_id
from runledger.importers.otlp.otlp_json import nanoseconds, parent_of
from runledger.importers.otlp.span import Happening, Span


def span(given: Mapping[str, Any]) -> Span:
    """Return the span that Python's ConsoleSpanExporter, or a list like it, shows."""
    context, status = _object(given, "context"), _object(given, "status")
    scope = _object(given, "scope", "instrumentation_scope")
    events = given.get("span_events") or given.get("events") or ()
    return Span(
        trace_id=hex_id(given.get("trace_id") or context.get("trace_id")),
        span_id=hex_id(given.get("span_id") or context.get("span_id")),
        parent_id=parent_of(given.get("parent_span_id") or given.get("parent_id")),
        name=str(given.get("name") or ""),
        start_ns=_time(given.get("start_time")),
        end_ns=_time(given.get("end_time")),
        failed=str(status.get("code") or status.get("status_code")) in ("ERROR", "2"),
        status_message=str(status.get("description") or status.get("message") or ""),
        attributes=plain_attributes(given.get("attributes")),
        happenings=tuple(
            Happening(
                str(one.get("name") or one.get("event_name") or ""),
                _time(one.get("timestamp")),
                plain_attributes(one.get("attributes")),
            )
            for one in events
            if isinstance(one, dict)
        ),
        links=tuple(
            hex_id(_object(one, "context").get("trace_id") or one.get("trace_id"))
            for one in given.get("links") or ()
            if isinstance(one, dict)
        ),
        scope_name=str(scope.get("name") or ""),
        scope_version=str(scope.get("version") or ""),
        resource=plain_attributes(_object(given, "resource").get("attributes")),
    )


def is_span(given: Mapping[str, Any]) -> bool:
    """Whether an object is a span of this form."""
    return "attributes" in given and (
        {"trace_id", "span_id"} <= given.keys() or isinstance(given.get("context"), dict)
    )


def _object(given: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    found = next((given[key] for key in keys if isinstance(given.get(key), dict)), None)
    return {} if found is None else found


def _time(value: Any) -> int:
    if isinstance(value, str) and not value.isdecimal():
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return 0
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return round(moment.timestamp() * 1_000_000) * 1_000
    return nanoseconds(int(value) if isinstance(value, float) and value > 0 else value)
