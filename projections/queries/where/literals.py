"""Constants of an expression as Python's values: numbers, times and intervals."""

import re
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Final

_PART: Final = re.compile(r"\s*(\d{1,9}(?:\.\d{1,6})?)\s*([a-z]+)\s*", re.IGNORECASE)
_UNITS: Final = {
    "microsecond": timedelta(microseconds=1),
    "millisecond": timedelta(milliseconds=1),
    "second": timedelta(seconds=1),
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
}
_LONGEST: Final = timedelta(days=36_600)
_DIGITS: Final = 18


def number(text: str) -> int | float:
    """Return a number; raise ValueError for one that 64 bits cannot hold."""
    value = float(text) if re.search("[.eE]", text) else int(text)
    if (len(text) > _DIGITS and isinstance(value, int)) or not isfinite(value):
        raise ValueError(f"expected a number of {_DIGITS} digits at most")
    return value


def moment(text: str) -> tuple[datetime, bool]:
    """Return a time in ISO 8601 and whether it named no zone: then it is UTC."""
    try:
        value = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(
            f"expected a time such as '2025-08-01' or '2025-08-01T12:00:00Z', found {text!r:.60}"
        ) from None
    return (value, False) if value.tzinfo else (value.replace(tzinfo=UTC), True)


def interval(text: str) -> timedelta:
    """Return an interval such as `90 seconds` or `1 day 2 hours`."""
    found = timedelta()
    place = 0
    while (part := _PART.match(text, place)) is not None:
        unit = _UNITS.get(part[2].lower().removesuffix("s"))
        if unit is None:
            break
        found += float(part[1]) * unit
        place = part.end()
    if place != len(text) or not text.strip():
        raise ValueError(
            f"expected an interval such as '90 seconds' or '2 days' (months have no fixed length), "
            f"found {text!r:.60}"
        )
    return expect_short(found)


def expect_short(span: timedelta) -> timedelta:
    """Return an interval; raise ValueError for one that leads out of the calendar."""
    if span > _LONGEST:
        raise ValueError("expected an interval of a hundred years at most")
    return span


def nanoseconds(span: timedelta) -> int:
    """Return an interval as the number that a column of a duration is compared with."""
    return span // timedelta(microseconds=1) * 1_000
