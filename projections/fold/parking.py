"""Parking: events that cannot be applied, and later events of their streams, are left out and
recorded, so that all other runs are still projected."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from projections.fold.batch import Batch
from projections.fold.feed import Taken
from projections.fold.loader import LoggedEvents
from runledger.events import RunDeleted
from runledger.sql_file import statements

SQL: Final = statements(Path(__file__).with_name("parking.sql"))
PARKED_STREAMS: Final = "parked_runs"
"""The table with the streams that are parked."""


class Parked(NamedTuple):
    """A stream whose events from `position` on, `events` in number, are in no read model."""

    stream: str
    position: int
    version: int
    topic: str
    reason: str
    events: int


class Retried(NamedTuple):
    """The result of a retry: the streams that are no longer parked, and those that still are."""

    applied: list[str]
    parked: list[Parked]


def parked(db: Any) -> list[Parked]:
    """Return what is parked in the generation of a connection, in the order of the log."""
    return [Parked(*row) for row in db.execute(SQL["parked"]).fetchall()]


def counts(db: Any) -> tuple[int, int]:
    """Return how many streams are parked, and how many events were left out with them."""
    ((streams, events),) = db.execute(SQL["counts"]).fetchall()
    return streams, events


def any_parked(db: Any) -> bool:
    """Whether the generation of a connection has anything parked."""
    ((found,),) = db.execute(SQL["any"]).fetchall()
    return bool(found)


def exclude_parked(db: Any, seen: Batch, taken: Taken) -> frozenset[str]:
    """Leave parked and deleted streams out of a batch; return the topics of the batch.

    Deleted runs are in the table `deleted`, which exists only if the batch deletes some.
    """
    loaded = taken.loaded
    holds_parked = any_parked(db)
    damaged = _damaged(taken)
    if not (loaded.unread or holds_parked or damaged or RunDeleted.topic in loaded.topics):
        seen.look()
        return loaded.topics
    seen.begin_part()
    poison = {**seen.upcast(loaded, taken.source), **damaged}
    seen.delete()
    if holds_parked or poison:
        _park(db, poison)
    seen.project(loaded)
    return loaded.topics


def exclude_still_parked(db: Any, seen: Batch, taken: Taken) -> frozenset[str]:
    """Leave out of a batch all but the retried events, which are no longer parked; return their
    topics."""
    seen.begin_part()
    for name in ("retried", "only_retried", "take_up_events", "take_up"):
        db.execute(SQL[name])
    poison = {**seen.upcast(taken.loaded, taken.source), **_damaged(taken)}
    seen.delete()
    _park(db, poison)
    seen.project(taken.loaded)
    return frozenset(topic for (topic,) in db.execute(SQL["retried_topics"]).fetchall())


def _damaged(taken: Taken) -> Mapping[int, str]:
    return taken.source.damaged if isinstance(taken.source, LoggedEvents) else {}


def _park(db: Any, poison: Mapping[int, str]) -> None:
    db.execute(SQL["poison"], {"positions": list(poison), "reasons": list(poison.values())})
    for name in ("parked_now", "park_runs", "parked_batch", "park_events", "leave_out"):
        db.execute(SQL[name])


def begin_with(db: Any, rows: Sequence[Parked]) -> None:
    """Park streams in a generation that is still empty."""
    names = ("stream", "position", "version", "topic", "reason")
    db.execute(SQL["begin_with"], {name: [getattr(row, name) for row in rows] for name in names})


def park_one(db: Any, reason: str) -> None:
    """Park the stream of the one event that is loaded."""
    db.execute(SQL["park"], {"reason": reason})


def release(db: Any, streams: Sequence[str] | None) -> None:
    """Mark the parked streams that are retried; all of them if none are named."""
    db.execute(SQL["release"], {"streams": None if streams is None else list(streams)})


def next_retried(db: Any, after: int) -> int | None:
    """Return the position of the next event to retry, or None."""
    ((position,),) = db.execute(SQL["next"], {"after": after}).fetchall()
    return None if position is None else int(position)


def put_back(db: Any) -> None:
    """Keep the streams parked that failed in the batch, and those beyond it until they are
    retried."""
    db.execute(SQL["hold"])
    db.execute(SQL["keep"])


def fail_again(db: Any, reason: str) -> None:
    """Keep the stream of the one loaded event parked, and stop retrying it."""
    db.execute(SQL["fail_again"], {"reason": reason})
    db.execute(SQL["hold_one"])
