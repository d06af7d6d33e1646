"""Spans as they came, kept beside the log until runs are made of them, and which runs those are."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class SpanRow(NamedTuple):
    """A span of an organization; `span` is what is stored of it."""

    organization: str
    trace_id: str
    span_id: str
    span: bytes


class TraceRow(NamedTuple):
    """A trace of which spans came.

    `version` grows with each request that has spans of it, `done` is the version of which runs were
    made. `first_at` and `last_at` are when spans came, in seconds since 1970. `runs` is a JSON list
    of the ids of its runs, `note` a JSON object of what was not understood or refused. Of
    `dropped` of its spans only the keys are still kept.
    """

    organization: str
    trace_id: str
    version: int
    done: int
    first_at: float
    last_at: float
    runs: str
    note: str
    dropped: int = 0


class SavedTrace(NamedTuple):
    """The result for a trace; it is looked at again at `not_before`, or when a span comes."""

    trace: TraceRow
    not_before: float = 0.0


class SpanCounts(NamedTuple):
    """How many spans and traces there are; traces that wait, gave no run, or had refusals.

    Of `dropped` of the spans, only the keys are still kept.
    """

    spans: int
    traces: int
    waiting: int
    without_runs: int
    refused: int
    dropped: int


class SpanTable(Protocol):
    """The spans of one store. All methods block, and may be called from any thread."""

    def put(self, rows: Sequence[SpanRow], now: float) -> None:
        """Keep spans, durably and in one transaction; of one that is there the first stays.

        Raises StoreUnavailable when nothing is known to be kept.
        """

    def due(self, now: float, quiet: float, patience: float, limit: int) -> list[TraceRow]:
        """Return traces that have spans of which no run was made, the longest waiting first.

        now, in seconds since 1970. quiet: seconds since the last span came. patience: seconds
        since the first of those came, after which a trace is due although spans still come.
        """

    def of_trace(self, organization: str, trace_id: str) -> list[bytes]:
        """Return the spans of a trace that are still kept whole."""

    def traces(self, organization: str, trace_id: str) -> list[TraceRow]:
        """Return the trace of an organization, or none."""

    def save(self, traces: Sequence[SavedTrace], now: float, epoch: int) -> bool:
        """Keep the runs, the note and what is done of traces, in one transaction.

        `epoch` is the store's before the traces were read. Return False, and keep nothing, if the
        log has gone back since: the runs that were made of them may be lost, and their spans, too.
        """

    def latest(self, organization: str, limit: int) -> list[TraceRow]:
        """Return traces, the latest first."""

    def counts(self, organization: str) -> SpanCounts:
        """Return how many there are of an organization."""

    def drop(self, after: float, before: float, limit: int) -> int:
        """Keep only the keys of spans of traces that got their last one between two times.

        Returns how many traces those were. The times are in seconds since 1970. Traces of which
        runs are still to be made, or were refused, are kept. A span that is sent again stays known
        by its key.
        """

    def claim(self, organization: str, source: str, calls: Sequence[str]) -> set[str]:
        """Let a source have calls that no other has told; return those that another has.

        The first source to claim a call keeps it, durably.
        """

    def told_by_others(self, organization: str, source: str, calls: Sequence[str]) -> set[str]:
        """Return those of these calls that another source has; claim none."""

    def retry(self, organization: str, trace_ids: Sequence[str] | None, now: float) -> int:
        """Let runs be made again of refused traces, of all or of these; return how many."""

    def retrying(self, organization: str, now: float) -> int:
        """Return of how many refused traces runs are to be made again now."""
