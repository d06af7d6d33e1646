"""Values as the page writes them: numbers, durations, times, ids, and text without tricks."""

import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from runledger.quantities import show_duration, show_usd

UNKNOWN: Final = "\N{EN DASH}"
_CONTROLS: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
_STEPS: Final = ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k"))


def visible(text: str) -> str:
    """Return a text whose control characters and changes of direction can be seen.

    An escape sequence of a terminal or a mark that turns the reading direction would let a text
    look like another one.
    """
    return _CONTROLS.sub(_named, text)


def _named(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else f"[U+{code:04X}]"


def finalize(value: object) -> object:
    """Return what a template writes for a value: a dash for None, visible text for text."""
    if value is None:
        return UNKNOWN
    return visible(value) if type(value) is str else value


def duration(ns: float | None) -> str | None:
    """Return nanoseconds for people; None if they are not known."""
    return None if ns is None else show_duration(ns)


def count(value: int | None) -> str | None:
    """Return a count with thousands marks."""
    return None if value is None else f"{value:,}"


def usd(value: Decimal | None, incomplete_steps: int | None) -> str | None:
    """Return a cost, exactly; `≥` marks one that lacks some steps. None if it is not known."""
    return None if value is None else show_usd(value, not incomplete_steps)


def compact(value: int | None) -> str | None:
    """Return a large count with three digits and a unit: 3.9 M."""
    if value is None:
        return None
    for size, unit in _STEPS:
        if value >= size:
            number = value / size
            return f"{number:.0f} {unit}" if number >= 100 else f"{number:.1f} {unit}"
    return str(value)


def short(identity: str) -> str:
    """Return the eight characters by which an id is told from others beside it."""
    _, mark, rest = identity.partition("-")
    return (rest if mark else identity)[:8]


def agent(identity: str) -> str:
    """Return the id of an agent without what all of them begin with."""
    return identity.removeprefix("agent-") or identity


def moment(value: datetime) -> str:
    """Return a time in UTC, short."""
    return value.astimezone(UTC).strftime("%-d %b %H:%M:%S")


def whole_moment(value: datetime) -> str:
    """Return a time in UTC, whole, as the hint of a short one says it."""
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f UTC")


def machine_moment(value: datetime) -> str:
    """Return a time as machines read it."""
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def pretty(value: object) -> str:
    """Return a value as JSON with a line for each of its own values."""
    return json.dumps(value, indent=1, ensure_ascii=False)


def span(value: timedelta) -> str:
    """Return the time between two moments."""
    return show_duration(value / timedelta(microseconds=1) * 1e3)
