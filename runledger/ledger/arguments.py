"""Arguments that read models are asked with: a wrong type is refused before the question is."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime

from runledger.errors import InvalidArgument


def check_texts(**given: str | None) -> None:
    """Raise InvalidArgument for what is neither text nor None."""
    for name, value in given.items():
        if value is not None and not isinstance(value, str):
            raise InvalidArgument(f"{name}: expected text, found {value!r:.80}")


def check_lists(**given: Iterable[str]) -> None:
    """Raise InvalidArgument for what is no list, above all for one text in the place of many."""
    for name, value in given.items():
        if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
            raise InvalidArgument(f"{name}: expected a list, found {value!r:.80}")


def check_days(**given: date | None) -> None:
    """Raise InvalidArgument for what is neither a day nor None."""
    for name, value in given.items():
        # A moment is a date to Python; which day it lies in depends on the zone.
        if value is not None and (not isinstance(value, date) or isinstance(value, datetime)):
            raise InvalidArgument(f"{name}: expected a date, found {value!r:.80}")
