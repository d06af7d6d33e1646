"""Durations, times and counts as people read them."""

from datetime import UTC, datetime


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
