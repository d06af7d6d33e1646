"""Times in UTC: the only zone in which Python's arithmetic with times is reliable."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime


def as_utc(value: datetime) -> datetime:
    """Return an aware time in UTC.

    Python subtracts and compares two times of one zone by their wall clocks, so an hour is lost at
    the end of summer time, and a time in that hour equals no time of another zone.

    Raises:
        ValueError: if Python cannot represent the time in UTC.
    """
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"expected a time from year 1 until 9999 in UTC, found {value}") from None


UtcTime = Annotated[AwareDatetime, AfterValidator(as_utc)]
"""A field of a model: a time with a zone, stored in UTC."""
