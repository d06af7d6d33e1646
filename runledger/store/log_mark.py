"""A mark: which event stands at a position, by which a log is known again."""

import json
from collections.abc import Iterable
from hashlib import sha256
from typing import Final, NamedTuple

from runledger.store.protocol import Store, StoredRow

_NEAR: Final = 16
"""Positions that are looked at first for an event."""


class LogMark(NamedTuple):
    """An event of a log: its position, its own id ("" if it has none), its SHA-256 in hex."""

    position: int
    event_id: str
    digest: str

    def is_at(self, store: Store) -> bool:
        """Say whether a store has this event at its position.

        The id decides and not the digest alone: an event that was damaged on the disk is still the
        same event, and the log is not another one because of it. Raises StoreUnavailable.
        """
        found = mark_at(store, self.position)
        return found is not None and self.is_same(found)

    def is_same(self, other: "LogMark") -> bool:
        """Say whether two marks of one position are of the same event; see `is_at`."""
        return other.digest == self.digest or ("" != other.event_id == self.event_id)


def mark_of(row: StoredRow) -> LogMark:
    """Return the mark of an event as it is stored, with or without its contents."""
    return LogMark(row.position, _event_id(row.facts), digest_of(row))


def digest_of(row: StoredRow) -> str:
    """Return the SHA-256, in hex, of an event's place in the log, its topic and its facts."""
    named = f"{row.position}\0{row.stream}\0{row.version}\0{row.topic}\0".encode()
    return sha256(named + row.facts).hexdigest()


def mark_at(store: Store, position: int) -> LogMark | None:
    """Return the mark of the event at a position of a store, None if there is none."""
    if position < 1:
        return None
    found = store.read_log(position - 1, 1, upto=position)
    return mark_of(found[0]) if found else None


def mark_until(store: Store, position: int) -> LogMark | None:
    """Return the mark of the last event up to a position; None if there is no event up to there.

    A position may have no event: that of an append that failed is not given out again.
    """
    width = _NEAR
    while position > 0:
        after = max(0, position - width)
        if rows := store.read_log(after, width, upto=position):
            return mark_of(rows[-1])
        position, width = after, width * _NEAR
    return None


def last_common(store: Store, marks: Iterable[LogMark]) -> int:
    """Return the highest position of some marks, newest first, that a store has; 0 if it has none.

    The log of a restored backup, or of a standby that was promoted, is the beginning of the one
    that was lost: where one event is common, so are all before it.
    """
    return next((mark.position for mark in marks if mark.is_at(store)), 0)


def _event_id(facts: bytes) -> str:
    try:
        return str(json.loads(facts)["event_id"])
    except (ValueError, LookupError, TypeError, RecursionError):
        return ""
