"""Checks the types of arguments of the ledger's calls before anything is done."""

import os
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Final

from runledger.errors import InvalidArgument
from runledger.run import Actor

COUNT_MAX: Final = 2**63 - 1
"""The largest integer that DuckDB accepts; larger than any list."""


def check_texts(**given: str | None) -> None:
    """Raise InvalidArgument for a value that is neither text nor None."""
    for name, value in given.items():
        if value is not None and not isinstance(value, str):
            raise InvalidArgument(f"{name}: expected text, found {value!r:.80}")


def check_lists(**given: Iterable[str]) -> None:
    """Raise InvalidArgument for a value that is not a list, such as one text in place of
    several."""
    for name, value in given.items():
        if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
            raise InvalidArgument(f"{name}: expected a list, found {value!r:.80}")


def texts(name: str, value: Iterable[str]) -> tuple[str, ...]:
    """Return a list of texts; raise InvalidArgument for anything else."""
    check_lists(**{name: value})
    made = tuple(value)
    for one in made:
        if not isinstance(one, str):
            raise InvalidArgument(f"{name}: expected a list of texts, found {one!r:.80} in it")
    return made


def check_days(**given: date | None) -> None:
    """Raise InvalidArgument for a value that is neither a day nor None."""
    for name, value in given.items():
        # A datetime is a date in Python; its day depends on the zone.
        if value is not None and (not isinstance(value, date) or isinstance(value, datetime)):
            raise InvalidArgument(f"{name}: expected a date, found {value!r:.80}")


def check_counts(*, least: int, **given: int) -> None:
    """Raise InvalidArgument for a value that is not a whole number of at least `least`."""
    for name, value in given.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise InvalidArgument(f"{name}: expected {least} or more, found {value!r:.80}")
        if value > COUNT_MAX:
            raise InvalidArgument(f"{name}: expected {COUNT_MAX} at most, found a larger number")


def check_flags(**given: bool) -> None:
    """Raise InvalidArgument for a value that is not a bool: any non-empty text would be true."""
    for name, value in given.items():
        if not isinstance(value, bool):
            raise InvalidArgument(f"{name}: expected True or False, found {value!r:.80}")


def check_paths(**given: str | os.PathLike[str]) -> None:
    """Raise InvalidArgument for a value that is not a path."""
    for name, value in given.items():
        if not isinstance(value, str | os.PathLike):
            raise InvalidArgument(f"{name}: expected a path, found {value!r:.80}")


def check_actor(actor: Actor | None) -> None:
    """Raise InvalidArgument for a value that is neither an Actor nor None."""
    if actor is not None and not isinstance(actor, Actor):
        raise InvalidArgument(f"actor: expected an Actor, found {actor!r:.80}")
