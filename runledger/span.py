"""A span of time in queries and replays: it must not end before it begins."""

from datetime import date, timedelta
from typing import Final

from runledger.errors import InvalidArgument

LONGEST: Final = timedelta(days=36_500)
"""The longest duration that a call accepts, such as the inactivity after which a run expires."""


def check_span(where: str, /, *, exclusive: bool = False, **ends: date | None) -> None:
    """Raise InvalidArgument for a span that ends too soon; given are begin and end, by their names.

    Too soon is before its beginning, or at its beginning if the end is `exclusive`, because the
    span would be empty. None is an open end. Both are days, or both are times with a zone.
    """
    (first, begin), (last, end) = ends.items()
    if begin is None or end is None or begin < end or (begin == end and not exclusive):
        return
    expected = "an end beyond the beginning" if exclusive else "no end before the beginning"
    excluded = ", which is not part of it" if exclusive else ""
    raise InvalidArgument(
        f"{where}: expected {expected}, found {first} {begin} and {last} {end}{excluded}"
    )
