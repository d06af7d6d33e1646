"""The spans of a SQLite store; see runledger.store.spans.SpanTable."""

from collections.abc import Callable, Sequence
from typing import Any

from runledger.store.spans import SavedTrace, SpanCounts, SpanRow, TraceRow

Fetch = Callable[[str, Any], list[tuple[Any, ...]]]
Execute = Callable[[Sequence[tuple[str, Sequence[Any]]]], None]


class SQLiteSpans:
    """Reads by one function of the store, writes by another: all statements or none of them."""

    def __init__(self, fetch: Fetch, execute: Execute) -> None:
        self._fetch = fetch
        self._execute = execute

    def put(self, rows: Sequence[SpanRow], now: float) -> None:
        """Keep spans; of one that is there the first stays."""
        traces = sorted({row[:2] for row in rows})
        self._execute(
            [
                ("put_spans", [(*row, now) for row in rows]),
                ("put_traces", [(*trace, now, now, now) for trace in traces]),
            ]
        )

    def due(self, now: float, quiet: float, patience: float, limit: int) -> list[TraceRow]:
        """Return traces that have spans of which no run was made."""
        given = {"now": now, "quiet": now - quiet, "since": now - patience, "limit": limit}
        return [TraceRow(*row) for row in self._fetch("due_traces", given)]

    def of_trace(self, organization: str, trace_id: str) -> list[bytes]:
        """Return the spans of a trace."""
        return [row[0] for row in self._fetch("trace_spans", (organization, trace_id))]

    def traces(self, organization: str, trace_id: str) -> list[TraceRow]:
        """Return the trace of an organization, or none."""
        return [TraceRow(*row) for row in self._fetch("trace", (organization, trace_id))]

    def save(self, traces: Sequence[SavedTrace], now: float) -> None:
        """Keep the runs, the note and what is done of traces."""
        given = [
            {**one.trace._asdict(), "now": now, "not_before": one.not_before} for one in traces
        ]
        self._execute([("save_trace", given)])

    def latest(self, organization: str, limit: int) -> list[TraceRow]:
        """Return traces, the latest first."""
        return [TraceRow(*row) for row in self._fetch("latest_traces", (organization, limit))]

    def counts(self, organization: str) -> SpanCounts:
        """Return how many there are of an organization."""
        ((spans, *traces),) = self._fetch("count_spans", {"organization": organization})
        return SpanCounts(spans, *traces)
