"""The due time of the next attempt: the retry schedule with jitter, and Retry-After."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from runledger.callbacks.settings import CallbackSettings

Chance = Callable[[], float]
"""Returns a random number from 0 to 1."""


def wait_after(tries: int, settings: CallbackSettings, chance: Chance) -> timedelta | None:
    """Return how long to wait after so many failed attempts; None after the last."""
    if tries >= len(settings.calendar):
        return None
    spread = 1 + settings.jitter * (2 * chance() - 1)
    return timedelta(seconds=settings.calendar[tries] * spread)


def retry_after(
    headers: Mapping[str, str], now: datetime, settings: CallbackSettings
) -> timedelta | None:
    """Return the delay of a Retry-After header (RFC 9110, 10.2.3), limited by the cap."""
    asked = headers.get("retry-after", "").strip()
    try:
        if asked.isascii() and asked.isdigit():
            seconds = float(asked)
        else:
            date = parsedate_to_datetime(asked)
            seconds = (date.replace(tzinfo=date.tzinfo or UTC) - now).total_seconds()
    except (ValueError, OverflowError):
        return None
    return timedelta(seconds=min(max(seconds, 0.0), settings.max_retry_after_seconds))
