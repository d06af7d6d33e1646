"""The spans of a SQLite store; see runledger.store.spans.SpanTable."""

import json
from collections.abc import Sequence
from typing import Protocol

from runledger.store.bound_writes import Fetch
from runledger.store.spans import SavedTrace, SpanCounts, SpanRow, TraceRow
from runledger.store.sqlite.recorder import Written


class Execute(Protocol):
    """Writes all statements or none of them; see LedgerRecorder.execute."""

    def __call__(self, written: Written, epoch: int | None = None) -> bool:
        """Return False, and write nothing, if the log has gone back since an epoch."""


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
        """Return the spans of a trace that are still kept whole."""
        return [row[0] for row in self._fetch("trace_spans", (organization, trace_id))]

    def traces(self, organization: str, trace_id: str) -> list[TraceRow]:
        """Return the trace of an organization, or none."""
        return [TraceRow(*row) for row in self._fetch("trace", (organization, trace_id))]

    def save(self, traces: Sequence[SavedTrace], now: float, epoch: int) -> bool:
        """Keep the runs, the note and what is done of traces, if the log has not gone back."""
        given = [
            {**one.trace._asdict(), "now": now, "not_before": one.not_before} for one in traces
        ]
        return self._execute([("save_trace", given)], epoch)

    def latest(self, organization: str, limit: int) -> list[TraceRow]:
        """Return traces, the latest first."""
        return [TraceRow(*row) for row in self._fetch("latest_traces", (organization, limit))]

    def counts(self, organization: str) -> SpanCounts:
        """Return how many there are of an organization."""
        ((spans, *traces),) = self._fetch("count_spans", {"organization": organization})
        return SpanCounts(spans, *traces)

    def drop(self, after: float, before: float, limit: int) -> int:
        """Keep only the keys of spans of traces that got their last one between two times."""
        old = self._fetch("old_traces", {"after": after, "before": before, "limit": limit})
        if old:
            self._execute([("drop_spans", old), ("note_dropped", old)])
        return len(old)

    def claim(self, organization: str, source: str, calls: Sequence[str]) -> set[str]:
        """Let a source have calls that no other has told; return those that another has."""
        self._execute([("claim_calls", [(organization, call, source) for call in calls])])
        return self.told_by_others(organization, source, calls)

    def told_by_others(self, organization: str, source: str, calls: Sequence[str]) -> set[str]:
        """Return those of these calls that another source has."""
        given = {"organization": organization, "source": source, "calls": json.dumps(list(calls))}
        return {row[0] for row in self._fetch("calls_of_others", given)}

    def retry(self, organization: str, trace_ids: Sequence[str] | None, now: float) -> int:
        """Let runs be made again of refused traces, of all or of these; return how many."""
        refused = {row[0] for row in self._fetch("refused_traces", (organization,))}
        chosen = refused if trace_ids is None else refused & set(trace_ids)
        self._execute([("retry_trace", [(now, organization, one) for one in sorted(chosen)])])
        return len(chosen)

    def retrying(self, organization: str, now: float) -> int:
        """Return of how many refused traces runs are to be made again now."""
        ((count,),) = self._fetch("retrying", {"organization": organization, "now": now})
        return int(count)
