"""Durations and times as people write and read them; those that are read are parsers of options."""

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

import typer

_UNITS: Final = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9}
_UNITS.update(h=3600 * 10**9, d=86400 * 10**9)
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ns|us|ms|s|m|h|d)")


def nanoseconds(text: str) -> int:
    """Return a duration such as `90s`, `1.5h` or `1h30m` in nanoseconds."""
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise typer.BadParameter(
            f"expected a duration such as 500ms, 90s, 1h30m or 2d, found {text!r}"
        )
    return sum(round(float(number) * _UNITS[unit]) for number, unit in parts)


def duration(text: str) -> timedelta:
    """Return the same as a timedelta, of which the ledger takes so many days at most."""
    from runledger.ledger.expiry import LONGEST

    if (ns := nanoseconds(text)) > LONGEST.days * _UNITS["d"]:
        raise typer.BadParameter(f"expected {LONGEST.days} days at most, found {text!r}")
    return timedelta(microseconds=ns / 1000)


def moment(text: str) -> datetime:
    """Return a time in ISO 8601; one without a zone is UTC, a date alone is its first moment."""
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"expected a time such as 2025-08-01 or 2025-08-01T12:00:00Z, found {text!r}"
        ) from None
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def last_moment(text: str) -> datetime:
    """Return the same for an end that is included: a date alone is its last moment."""
    given = moment(text)
    return datetime.combine(given, time.max, UTC) if _is_day(text) else given


def before(text: str) -> datetime:
    """Return the same for an end that is left out: a date alone is where the next one begins."""
    given = moment(text)
    if not _is_day(text):
        return given
    # Nothing is recorded in the last year that there is.
    return given + timedelta(days=1) if given.year < date.max.year else given


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def position_or_moment(text: str) -> int | datetime:
    """Return a position of the log, or a time as in `last_moment`."""
    return int(text) if text.isdecimal() else last_moment(text)


def day(text: str) -> date:
    """Return a day in ISO 8601."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"expected a day such as 2025-08-01, found {text!r}") from None


def show_duration(ns: float | None) -> str:
    """Return nanoseconds for people: `640 µs`, `12.3 ms`, `4.56 s`, `2m 03s`, `1h 02m`."""
    if ns is None:
        return "-"
    if ns < 1e6:
        return f"{ns / 1e3:.0f} µs"
    if ns < 1e9:
        return f"{ns / 1e6:.3g} ms"
    if ns < 60e9:
        return f"{ns / 1e9:.2f} s"
    seconds = round(ns / 1e9)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d {hours:02}h"
    return f"{hours}h {minutes:02}m" if hours else f"{minutes}m {seconds:02}s"


def show_moment(value: datetime | None) -> str:
    """Return a time in UTC, to the second."""
    return "-" if value is None else value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def show_count(value: int | None) -> str:
    """Return a count with thousands apart; `-` where nothing was reported."""
    return "-" if value is None else f"{value:,}"
