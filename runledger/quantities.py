"""Durations, times and counts as people read them."""

from datetime import UTC, datetime
from decimal import Decimal


def show_duration(ns: float | None) -> str:
    """Return nanoseconds for people: `640 µs`, `12.3 ms`, `4.56 s`, `2m 03s`, `1h 02m`, `3d 04h`.

    A unit is taken if the number is below the next one once it is rounded: never `1000 µs`.
    """
    if ns is None:
        return "-"
    if round(ns / 1e3) < 1_000:
        return f"{ns / 1e3:.0f} µs"
    if float(f"{ns / 1e6:.3g}") < 1_000:
        return f"{ns / 1e6:#.3g}".removesuffix(".") + " ms"
    if round(ns / 1e9, 2) < 60:
        return f"{ns / 1e9:.2f} s"
    if (seconds := round(ns / 1e9)) < 60 * 60:
        return f"{seconds // 60}m {seconds % 60:02}s"
    if (minutes := round(ns / 60e9)) < 24 * 60:
        return f"{minutes // 60}h {minutes % 60:02}m"
    hours = round(ns / 3600e9)
    return f"{hours // 24}d {hours % 24:02}h"


def show_moment(value: datetime | None) -> str:
    """Return a time in UTC, to the second."""
    return "-" if value is None else value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def show_count(value: int | None) -> str:
    """Return a count with separated thousands; `-` if nothing was reported."""
    return "-" if value is None else f"{value:,}"


def show_usd(value: Decimal | None, complete: bool) -> str:
    """Return an amount in US dollars, exactly; `-` if it is unknown.

    Parameters:
        value: the amount.
        complete: whether it is all of it; otherwise it is a lower bound, and marked by `≥`.
    """
    if value is None:
        return "-"
    whole, _, rest = f"{value:,.12f}".partition(".")
    return f"{'' if complete else '≥ '}{whole}.{rest.rstrip('0').ljust(2, '0')} USD"


def show_price(value: Decimal) -> str:
    """Return a price, exactly and without needless zeros."""
    whole, _, rest = f"{value:f}".partition(".")
    return f"{whole}.{rest.rstrip('0').ljust(2, '0')}"
