"""The spans of a PostgreSQL store; see runledger.store.spans.SpanTable."""

from collections.abc import Callable, Sequence
from typing import Any

from runledger.store.spans import SavedTrace, SpanCounts, SpanRow, TraceRow

Fetch = Callable[[str, Any], list[tuple[Any, ...]]]


class PostgresSpans:
    """Executes by a function of the store; each statement may be executed twice."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch

    def put(self, rows: Sequence[SpanRow], now: float) -> None:
        """Keep spans; of one that is there the first stays."""
        organizations, traces, spans, texts = zip(*rows, strict=True) if rows else ([], [], [], [])
        given = {
            "organizations": list(organizations),
            "traces": list(traces),
            "spans": list(spans),
            "texts": list(texts),
            "now": now,
        }
        self._fetch("put_spans", given)

    def due(self, now: float, quiet: float, patience: float, limit: int) -> list[TraceRow]:
        """Return traces that have spans of which no run was made."""
        given = {"now": now, "quiet": now - quiet, "since": now - patience, "limit": limit}
        return [TraceRow(*row) for row in self._fetch("due_traces", given)]

    def of_trace(self, organization: str, trace_id: str) -> list[bytes]:
        """Return the spans of a trace."""
        return [bytes(row[0]) for row in self._fetch("trace_spans", (organization, trace_id))]

    def traces(self, organization: str, trace_id: str) -> list[TraceRow]:
        """Return the trace of an organization, or none."""
        return [TraceRow(*row) for row in self._fetch("trace", (organization, trace_id))]

    def save(self, traces: Sequence[SavedTrace], now: float) -> None:
        """Keep the runs, the note and what is done of traces."""
        given = {
            name: [getattr(one.trace, name) for one in traces]
            for name in ("organization", "trace_id", "version", "done", "runs", "note")
        }
        later = [one.not_before for one in traces]
        self._fetch("save_traces", {**given, "not_before": later, "now": now})

    def latest(self, organization: str, limit: int) -> list[TraceRow]:
        """Return traces, the latest first."""
        return [TraceRow(*row) for row in self._fetch("latest_traces", (organization, limit))]

    def counts(self, organization: str) -> SpanCounts:
        """Return how many there are of an organization."""
        ((spans, *traces),) = self._fetch("count_spans", {"organization": organization})
        return SpanCounts(spans, *traces)
