"""Rows of read models as JSON has them, with their days and times as such again."""

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any


def dated(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows; a column `day` is a date, one whose name ends with `_at` a time."""
    return [{name: _value(name, value) for name, value in row.items()} for row in rows]


def _value(name: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if name == "day":
        return date.fromisoformat(value)
    return datetime.fromisoformat(value) if name.endswith("_at") else value
