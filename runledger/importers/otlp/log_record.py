"""Log events that report calls of models, as spans: below the one that they name, or by session."""

from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any, NamedTuple

from runledger.importers.otlp.any_value import (
    attributes,
    from_json,
    from_message,
    message_attributes,
)
from runledger.importers.otlp.conventions import Conventions, LogRow
from runledger.importers.otlp.ids import hex_id
from runledger.importers.otlp.otlp_json import nanoseconds, objects, one_object
from runledger.importers.otlp.protobuf_message import parsed
from runledger.importers.otlp.reading import as_number, as_text
from runledger.importers.otlp.span import Attributes, Span, is_span_id, is_trace_id


class LogRecord(NamedTuple):
    """A log record: the names that it gives its event, its time, and the span that it names."""

    names: tuple[str, ...]
    at_ns: int
    trace_id: str
    span_id: str
    attributes: Attributes
    resource: Attributes
    scope_name: str
    scope_version: str

    def row(self, table: Conventions) -> LogRow | None:
        """Return what the table knows of the event; None for any other."""
        row = next((table.logs[name] for name in self.names if name in table.logs), None)
        if row is None or any(self.attributes.get(key) != one for key, one in row.where.items()):
            return None
        return row

    def as_span(self, row: LogRow) -> Span | None:
        """Return the event as a span, with its attributes as they are; None if it names no call.

        Its ids are those of the call that it reports, so an event that is sent again has the same.
        """
        began_ns = max(self.at_ns - self._duration_ns(row), 0)
        if row.program:
            ids = self._by_session(row)
        elif is_trace_id(self.trace_id) and is_span_id(self.span_id):
            ids = (self.trace_id, _id(row.event, self.trace_id, self.span_id), self.span_id)
        else:
            ids = None
        if ids is None:
            return None
        return Span(
            *ids,
            name=row.event,
            start_ns=began_ns,
            end_ns=self.at_ns,
            attributes=self.attributes,
            scope_name=self.scope_name,
            scope_version=self.scope_version,
            resource=self.resource,
            record=True,
        )

    def _by_session(self, row: LogRow) -> tuple[str, str, str] | None:
        """Return ids of a trace, a span and its parent: the calls of one prompt are one trace."""
        session = as_text(self.attributes.get(row.session))
        if not session:
            return None
        prompt = as_text(self.attributes.get(row.prompt)) or ""
        request = as_text(self.attributes.get(row.request))
        # Without an id of its own, two calls of a session differ by their time and their counts.
        own = (request,) if request else (str(self.at_ns), repr(sorted(self.attributes.items())))
        return (
            _id(row.program, session, prompt, digits=32),
            _id(row.program, session, *own),
            _id(row.program, session, prompt),
        )

    def _duration_ns(self, row: LogRow) -> int:
        milliseconds = as_number(self.attributes.get(row.duration_ms))
        return (milliseconds or 0) * 1_000_000


def from_document(document: Mapping[str, Any]) -> Iterator[LogRecord]:
    """Yield the records of an ExportLogsServiceRequest in OTLP's JSON."""
    for resource_logs in objects(document, "resourceLogs"):
        resource = attributes(one_object(resource_logs, "resource").get("attributes"))
        for scope_logs in objects(resource_logs, "scopeLogs"):
            scope = one_object(scope_logs, "scope")
            for one in objects(scope_logs, "logRecords"):
                found = attributes(one.get("attributes"))
                yield LogRecord(
                    _names(one.get("eventName"), found, from_json(one.get("body"))),
                    nanoseconds(one.get("timeUnixNano"))
                    or nanoseconds(one.get("observedTimeUnixNano")),
                    hex_id(one.get("traceId")),
                    hex_id(one.get("spanId")),
                    found,
                    resource,
                    as_text(scope.get("name")) or "",
                    as_text(scope.get("version")) or "",
                )


def from_protobuf(body: bytes) -> Iterator[LogRecord]:
    """Yield the records of an ExportLogsServiceRequest in protobuf.

    Raises InvalidArgument, before the first record, for bytes that are none, and ImportFailed if
    opentelemetry-proto is not installed.
    """
    message = parsed(body, "logs.v1.logs_pb2", "LogsData", "ExportLogsServiceRequest")
    for resource_logs in message.resource_logs:
        resource = message_attributes(resource_logs.resource.attributes)
        for scope_logs in resource_logs.scope_logs:
            for one in scope_logs.log_records:
                found = message_attributes(one.attributes)
                yield LogRecord(
                    # The field is younger than some versions of the package.
                    _names(getattr(one, "event_name", ""), found, from_message(one.body)),
                    one.time_unix_nano or one.observed_time_unix_nano,
                    one.trace_id.hex(),
                    one.span_id.hex(),
                    found,
                    resource,
                    scope_logs.scope.name,
                    scope_logs.scope.version,
                )


def _names(event_name: Any, found: Attributes, body: Any) -> tuple[str, ...]:
    """Return the names of an event: emitters write them in a field, an attribute or the body."""
    names_given = (event_name, found.get("event.name"), body)
    return tuple(name for name in names_given if isinstance(name, str) and name)


def _id(*parts: str, digits: int = 16) -> str:
    return sha256("\0".join(parts).encode()).hexdigest()[:digits]
