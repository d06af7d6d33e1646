"""Leaves out log events of a coding agent whose calls are recorded from its transcripts."""

from collections.abc import Sequence
from typing import NamedTuple

from runledger.importers.first_source import LOG_EVENTS, request_name, session_name
from runledger.importers.otlp.conventions import LogRow, conventions
from runledger.importers.otlp.reading import as_text
from runledger.importers.otlp.span import Span
from runledger.store.spans import SpanTable


class Claimed(NamedTuple):
    """The spans of which runs may be made, and why others are left out."""

    spans: list[Span]
    elsewhere: list[str]


def claimed(
    table: SpanTable, organization: str, spans: Sequence[Span], *, look: bool = False
) -> Claimed:
    """Return spans without those whose calls another source reported first; the others are claimed.

    look: whether nothing is claimed, only looked at.
    """
    rows = [conventions().logs.get(span.name) if span.record else None for span in spans]
    names = [_names(span, row) for span, row in zip(spans, rows, strict=True)]
    wanted = sorted({name for found in names for name in found})
    if not wanted:
        return Claimed(list(spans), [])
    ask = table.told_by_others if look else table.claim
    others = ask(organization, LOG_EVENTS, wanted)
    kept, reasons = [], set()
    for span, row, found in zip(spans, rows, names, strict=True):
        if row is None or others.isdisjoint(found):
            kept.append(span)
        elif found[0] in others:
            session = as_text(span.attributes.get(row.session))
            reasons.add(f"{row.program} session {session}: recorded from its transcript")
        else:
            reasons.add(f"{row.program} call {span.span_id}: recorded from a transcript")
    return Claimed(kept, sorted(reasons))


def _names(span: Span, row: LogRow | None) -> list[str]:
    if row is None or not row.program:
        return []
    session = as_text(span.attributes.get(row.session)) or ""
    request = as_text(span.attributes.get(row.request))
    names = [session_name(row.program, session)]
    return [*names, request_name(row.program, request)] if request else names
