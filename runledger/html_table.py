"""Records as HTML, for notebooks: a table of several with their time lines, or the facts of one."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from html import escape
from typing import Any, Final

from pydantic import BaseModel

from runledger.quantities import show_count, show_duration, show_moment, show_usd

MOST_ROWS: Final = 100
"""Rows of a table; what more there are is said below it."""
_LONGEST: Final = 200
"""Characters of a cell."""
_PERCENTILES: Final = frozenset({"p50", "p90", "p95", "p99"})
Span = tuple[int, int]
"""The beginning and the end of something, in nanoseconds since 1970."""


def html_table(records: Sequence[BaseModel], spans: Sequence[Span | None]) -> str:
    """Return records as a table, without the columns in which all are empty.

    Parameters:
        records: the rows.
        spans: the time of each, shown as a bar; None for no bar.
    """
    rows = [dict(record) for record in records[:MOST_ROWS]]
    columns = [name for name in (rows[0] if rows else ()) if any(_said(row[name]) for row in rows)]
    known = [span for span in spans[:MOST_ROWS] if span is not None]
    heads = "".join(f"<th>{escape(name)}</th>" for name in columns)
    lines = []
    for row, span in zip(rows, spans, strict=False):
        cells = "".join(_cell(name, row) for name in columns)
        lines.append(f"<tr>{cells}{_bar(span, known) if known else ''}</tr>")
    more = len(records) - len(rows)
    return (
        f"<table><thead><tr>{heads}{'<th>time</th>' if known else ''}</tr></thead>"
        f"<tbody>{''.join(lines)}</tbody></table>"
        f"<p>rows: {len(records):,}{f', of which {more:,} are not shown' if more else ''}</p>"
    )


def html_facts(record: BaseModel) -> str:
    """Return what is known of a record, one fact a line."""
    said = {name: value for name, value in dict(record).items() if _said(value)}
    lines = (f"<tr><th>{escape(name)}</th>{_cell(name, said)}</tr>" for name in said)
    return f"<table><tbody>{''.join(lines)}</tbody></table>"


def _said(value: Any) -> bool:
    return value is not None and value not in ([], {})


def _cell(name: str, row: Mapping[str, Any]) -> str:
    value = row[name]
    number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    how = ' style="text-align:right"' if number else ""
    # A text of an agent is shown, and never executed.
    return f"<td{how}>{escape(_text(name, row))}</td>"


def _text(name: str, row: Mapping[str, Any]) -> str:
    value = row[name]
    if value is None:
        return ""
    if isinstance(value, Decimal):
        # An amount of steps whose price or usage is not wholly known is a lower bound.
        return show_usd(value, not row.get("incomplete_steps"))
    if isinstance(value, datetime):
        return show_moment(value)
    if isinstance(value, int | float) and (name in _PERCENTILES or _is_duration(name)):
        return show_duration(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return show_count(value)
    text = str(value)
    if isinstance(value, list | Mapping):
        text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _is_duration(name: str) -> bool:
    return name.endswith("_ns") and not name.endswith("_start_ns")


def _bar(span: Span | None, known: Sequence[Span]) -> str:
    if span is None:
        return "<td></td>"
    first, last = min(one[0] for one in known), max(one[1] for one in known)
    whole = max(last - first, 1)
    left, width = 100 * (span[0] - first) / whole, 100 * (span[1] - span[0]) / whole
    return (
        '<td><div style="position:relative;width:12em;height:.8em">'
        f'<div style="position:absolute;left:{left:.2f}%;width:{width:.2f}%;min-width:2px;'
        f'height:100%;background:currentColor;opacity:.5" '
        f'title="{show_duration(span[1] - span[0])}"></div></div></td>'
    )
