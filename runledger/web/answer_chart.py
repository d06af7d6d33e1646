"""The chart of an answer of SQL: a column of numbers as bars, in the order of the rows."""

from collections.abc import Sequence
from typing import Any, Final

from runledger.web.charts import Chart, Column, column_chart

MOST: Final = 250
"""Bars of one chart; an answer of more rows has none."""
_PARTS: Final = 100_000
_LABEL: Final = 18


def number_columns(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[int]:
    """Return the places of the columns that can be drawn: numbers from 0 up, at least one above.

    Parameters:
        columns: the names of the columns.
        rows: the rows, each a list of values; unknown values are drawn as no bar.
    """
    if not 2 <= len(rows) <= MOST or len(columns) < 2:
        return []
    return [
        place
        for place in range(len(columns))
        if all(_drawable(row[place]) for row in rows) and any(row[place] for row in rows)
    ]


def answer_chart(columns: Sequence[str], rows: Sequence[Sequence[Any]], place: int) -> list[Chart]:
    """Return the bars of one column, named by the first other column."""
    named = 0 if place else 1
    top = max(row[place] or 0 for row in rows)
    whole = all(isinstance(row[place], int | None) for row in rows)
    # The axis counts in whole numbers: fractions are drawn as parts of the largest.
    size = 1.0 if whole else _PARTS / top

    def show(parts: float) -> str:
        return f"{int(parts):,}" if whole else f"{parts / size:.3g}"

    made = []
    for row in rows:
        label, value = str(row[named]), row[place]
        said = "unknown" if value is None else show(value * size)
        stack = [("v-bar", round((value or 0) * size))]
        made.append(Column(f"{label[:200]}: {said}", stack, None, label[:_LABEL]))
    return column_chart(f"{columns[place]} by {columns[named]}", made, show)


def _drawable(value: Any) -> bool:
    if value is None:
        return True
    return type(value) in (int, float) and 0 <= value < 1e300
