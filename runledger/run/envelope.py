"""The actor and the times with which a decision stamps its events."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from runledger.errors import InvalidArgument
from runledger.events import EARLIEST, LATEST
from runledger.ids import DEFAULT_ORGANIZATION, check_id, random_hex
from runledger.utc import as_utc


@dataclass(frozen=True, slots=True)
class Actor:
    """The organization and user for which a command runs; all access is scoped to the
    organization."""

    organization: str = DEFAULT_ORGANIZATION
    user: str | None = None

    def __post_init__(self) -> None:
        check_id("organization", self.organization)
        if self.user is not None and not isinstance(self.user, str):
            raise InvalidArgument(f"user: expected text or None, found {self.user!r:.80}")


class Envelope(NamedTuple):
    """The actor, the caller's time (`occurred_at`), the ledger's (`recorded_at`), a source of event
    ids."""

    actor: Actor
    occurred_at: datetime
    recorded_at: datetime
    correlation_id: str | None = None
    explicit_time: bool = False
    next_id: Callable[[], str] = random_hex

    def stamp(self) -> dict[str, Any]:
        """Return the fields that every event has."""
        return {
            "event_id": self.next_id(),
            "occurred_at": self.occurred_at,
            "recorded_at": self.recorded_at,
            "organization": self.actor.organization,
            "user": self.actor.user,
            "correlation_id": self.correlation_id,
        }


def in_utc(name: str, value: datetime) -> datetime:
    """Return a time in UTC; InvalidArgument if it has no zone, or if read models cannot store
    it."""
    if not isinstance(value, datetime) or value.utcoffset() is None:
        raise InvalidArgument(f"{name}: expected a datetime with a time zone, found {value!r:.80}")
    try:
        moment: datetime | None = as_utc(value)
    except ValueError:
        moment = None
    if moment is None or not EARLIEST <= moment < LATEST:
        raise InvalidArgument(
            f"{name}: expected a time from {EARLIEST.year} until {LATEST.year}, found {value}"
        )
    return moment


def optional_in_utc(name: str, value: datetime | None) -> datetime | None:
    """Return a time as `in_utc` does, or None for None."""
    return None if value is None else in_utc(name, value)
