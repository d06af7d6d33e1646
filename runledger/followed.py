"""The arguments of followers, and the errors of a follower whose events the log has lost."""

from collections.abc import Iterable
from typing import Any

from runledger.arguments import texts
from runledger.errors import InvalidArgument, LogDiverged
from runledger.events import CATALOGUE

_LOST = "as after a restored backup or a failover"


def check_idle(idle_seconds: Any) -> None:
    """Refuse a time without an event that is no number of seconds above 0, or None."""
    if idle_seconds is None:
        return
    given = isinstance(idle_seconds, int | float) and not isinstance(idle_seconds, bool)
    if not given or not 0 < idle_seconds < float("inf"):
        raise InvalidArgument(f"idle_seconds: expected more than 0, found {idle_seconds!r:.80}")


def check_seen(after: int | None, seen: Any) -> None:
    """Refuse what is no id of an event, and one without the place of that event, `after`."""
    if seen is None:
        return
    if not isinstance(seen, str) or not seen:
        raise InvalidArgument(f"seen: expected the id of an event, found {seen!r:.80}")
    if not after:
        raise InvalidArgument("seen: expected it with the place of that event, `after`")


def known_topics(topics: Iterable[str]) -> tuple[str, ...]:
    """Return topics of events; raise InvalidArgument for one that is not in the catalogue."""
    wanted = texts("topics", topics)
    if unknown := sorted(set(wanted) - CATALOGUE.keys()):
        raise InvalidArgument(f"topics: no such topic: {', '.join(unknown)}")
    return wanted


def log_diverged(position: int, head: int) -> LogDiverged:
    """Return the error of a log that has not the events up to a position that were read."""
    return LogDiverged(
        f"follow_log: expected the log that was read up to position {position:,}, found one that "
        f"ends at {head:,} or has other events there, {_LOST}; begin again where the two agree"
    )


def run_diverged(run_id: str, place: str, found: str) -> LogDiverged:
    """Return the error of a run that has not the events that were read.

    `place` says which were, `found` what is there now.
    """
    return LogDiverged(
        f"follow_run: run {run_id}: expected {place}, which was read before, found {found}: the "
        f"log has gone back, {_LOST}; follow the run from its beginning"
    )
