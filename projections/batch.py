"""A batch: consecutive events of the log, as the typed relation that every projection reads."""

from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol, runtime_checkable

from runledger.errors import LedgerError
from runledger.events import CATALOGUE, Event, RunDeleted
from runledger.sql_file import statements
from runledger.store import arrow
from runledger.store.codec import today

SQL: Final = statements(Path(__file__).with_name("batch.sql"))
_MACROS: Final = ("shape", "nameless", "lacking", "has", "present", "typed_facts")


class Extent(NamedTuple):
    """What a batch holds: Python must see `unread` events; `parked` is of the whole generation."""

    events: int
    last: int
    unread: int
    topics: frozenset[str]
    parked: bool

    @property
    def deletes(self) -> bool:
        """Whether the batch deletes a run."""
        return RunDeleted.topic in self.topics


@runtime_checkable
class TypedEvents(Protocol):
    """Events whose facts were parsed before; see projections.archive_reader."""

    def load(self, db: Any) -> None:
        """Fill the table `feed.parsed`."""

    def unread(self, db: Any) -> None:
        """Make the temporary table `unread`."""


@cache
def events_digest() -> str:
    """Return the SHA-256 of what an event is here: topics, revisions, fields, and their columns."""
    known = [
        (topic, event.revision, sorted((n, str(f)) for n, f in event.model_fields.items()))
        for topic, event in sorted(CATALOGUE.items())
    ]
    return sha256(repr((known, sorted(SQL.items()))).encode()).hexdigest()


@cache
def shape_digest() -> str:
    """Return the SHA-256 of how facts become columns: while it is the same, so are the columns."""
    return sha256("\0".join(SQL[name] for name in _MACROS).encode()).hexdigest()


def prepare(db: Any) -> None:
    """Make the tables and macros that read facts; once per connection."""
    db.execute(SQL["revisions"])
    for macro in _MACROS:
        db.execute(SQL[macro])
    db.execute(
        SQL["known"],
        {
            "topics": list(CATALOGUE),
            "revisions": [event.revision for event in CATALOGUE.values()],
            "required": [_required(event) for event in CATALOGUE.values()],
        },
    )


def _required(event: type[Event]) -> int:
    """Return how many facts every event of the topic has, and no event of another may lack."""
    return 1 + len(event.model_fields.keys() - event.contents - _optional())


@cache
def _optional() -> frozenset[str]:
    """Return the facts that some event may be stored without: those that can be None."""
    return frozenset(
        name
        for event in CATALOGUE.values()
        for name, field in event.model_fields.items()
        if not field.is_required() and field.get_default(call_default_factory=True) is None
    )


def load(db: Any, events: Any) -> None:
    """Fill the table `feed.parsed` from Arrow, or from events that are typed already."""
    if isinstance(events, TypedEvents):
        events.load(db)
        return
    db.register("log_batch", events)
    db.execute(SQL["parse"])
    db.unregister("log_batch")


def read(db: Any) -> Extent:
    """Make the relation `typed` of what was loaded."""
    db.execute(SQL["typed"])
    return extent(db)


def extent(db: Any) -> Extent:
    """Return what `typed` holds."""
    ((events, last, unread, topics, parked),) = db.execute(SQL["extent"]).fetchall()
    return Extent(events, last or 0, unread, frozenset(topics), parked)


def mend(db: Any, events: Any) -> Mapping[int, str]:
    """Bring the unread events to today's shape; return the reason by position where that fails."""
    poison: dict[int, str] = {}
    if isinstance(events, TypedEvents):
        events.unread(db)
    else:
        db.execute(SQL["unread"])
    shaped = []
    for position, stream, version, topic, facts in db.execute(SQL["unread_events"]).fetchall():
        try:
            shaped.append((position, stream, version, topic, today(stream, version, topic, facts)))
        except LedgerError as e:
            poison[position] = str(e)
    position, stream, version, topic, facts = zip(*shaped, strict=True) if shaped else ((),) * 5
    db.register(
        "log_batch",
        arrow.table(
            position=arrow.int64(position),
            stream=arrow.string(stream),
            version=arrow.int64(version),
            topic=arrow.string(topic),
            facts=arrow.binary(facts),
        ),
    )
    db.execute(SQL["reshape"])
    db.unregister("log_batch")
    for (misfit,) in db.execute(SQL["misfits"]).fetchall():
        poison[misfit] = "a value does not fit the column that projections read it from"
    return poison
