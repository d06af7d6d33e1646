"""The spans of a PostgreSQL store; see runledger.store.spans.SpanTable."""

from collections.abc import Callable, Sequence
from typing import Any

from runledger.store.bound_writes import Fetch
from runledger.store.spans import SavedTrace, SpanCounts, SpanRow, TraceRow

ExecuteIn = Callable[[int, str, Any], bool]


class PostgresSpans:
    """Executes by a function of the store; each statement may be executed twice.

    `execute_in` writes only in an epoch of the store.
    """

    def __init__(self, fetch: Fetch, execute_in: ExecuteIn) -> None:
        self._fetch = fetch
        self._execute_in = execute_in

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
        """Return the spans of a trace that are still kept whole."""
        return [bytes(row[0]) for row in self._fetch("trace_spans", (organization, trace_id))]

    def traces(self, organization: str, trace_id: str) -> list[TraceRow]:
        """Return the trace of an organization, or none."""
        return [TraceRow(*row) for row in self._fetch("trace", (organization, trace_id))]

    def save(self, traces: Sequence[SavedTrace], now: float, epoch: int) -> bool:
        """Keep the runs, the note and what is done of traces, if the log has not gone back."""
        given = {
            name: [getattr(one.trace, name) for one in traces]
            for name in ("organization", "trace_id", "version", "done", "runs", "note")
        }
        later = [one.not_before for one in traces]
        return self._execute_in(epoch, "save_traces", {**given, "not_before": later, "now": now})

    def latest(self, organization: str, limit: int) -> list[TraceRow]:
        """Return traces, the latest first."""
        return [TraceRow(*row) for row in self._fetch("latest_traces", (organization, limit))]

    def counts(self, organization: str) -> SpanCounts:
        """Return how many there are of an organization."""
        ((spans, *traces),) = self._fetch("count_spans", {"organization": organization})
        return SpanCounts(spans, *traces)

    def drop(self, after: float, before: float, limit: int) -> int:
        """Keep only the keys of spans of traces that got their last one between two times."""
        given = {"after": after, "before": before, "limit": limit}
        return len(self._fetch("drop_spans", given))

    def claim(self, organization: str, source: str, calls: Sequence[str]) -> set[str]:
        """Let a source have calls that no other has told; return those that another has."""
        given = {"organization": organization, "source": source, "calls": list(calls)}
        self._fetch("claim_calls", given)
        # A statement of its own: it sees what another session claimed while this one waited.
        return self.told_by_others(organization, source, calls)

    def told_by_others(self, organization: str, source: str, calls: Sequence[str]) -> set[str]:
        """Return those of these calls that another source has."""
        given = {"organization": organization, "source": source, "calls": list(calls)}
        return {row[0] for row in self._fetch("calls_of_others", given)}

    def retry(self, organization: str, trace_ids: Sequence[str] | None, now: float) -> int:
        """Let runs be made again of refused traces, of all or of these; return how many."""
        chosen = None if trace_ids is None else list(trace_ids)
        given = {"organization": organization, "traces": chosen, "now": now}
        return len(self._fetch("retry_traces", given))

    def retrying(self, organization: str, now: float) -> int:
        """Return of how many refused traces runs are to be made again now."""
        ((count,),) = self._fetch("retrying", {"organization": organization, "now": now})
        return int(count)
