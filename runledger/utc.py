"""Times in UTC: the only zone in which Python's arithmetic with times is that of the clock."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime


def as_utc(value: datetime) -> datetime:
    """Return an aware time in UTC.

    Python subtracts and compares two times of one zone by their wall clocks, so that an hour is
    lost over the end of summer time, and finds a time of that hour equal to none of another zone.
    Raises ValueError for a time that lies beyond what Python can hold in UTC.
    """
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"expected a time from year 1 until 9999 in UTC, found {value}") from None


UtcTime = Annotated[AwareDatetime, AfterValidator(as_utc)]
"""A field of a model: a time with a zone, held in UTC."""
