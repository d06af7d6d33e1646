"""A log reader over a few events that are in memory: the streams of some runs."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from runledger.store import Store, arrow
from runledger.store.codec import encode

END_OF_LOG: Final = 2**62


class LogEvent(NamedTuple):
    """An event as a log reader gives it, in today's shape."""

    position: int
    stream: str
    version: int
    topic: str
    facts: bytes


class EventList:
    """Events in position order; see runledger.store.protocol.LogReader."""

    def __init__(self, events: Iterable[LogEvent]) -> None:
        self.events: Sequence[LogEvent] = sorted(events)

    def read(self, after: int, upto: int, limit: int) -> Any:
        """Return the events of a range of positions as Arrow, or None."""
        first = bisect_right(self.events, after, key=lambda event: event.position)
        chosen = [event for event in self.events[first : first + limit] if event.position <= upto]
        if not chosen:
            return None
        position, stream, version, topic, facts = zip(*chosen, strict=True)
        return arrow.table(
            position=arrow.int64(position),
            stream=arrow.string(stream),
            version=arrow.int64(version),
            topic=arrow.string(topic),
            facts=arrow.binary(facts),
        )

    def close(self) -> None:
        """Nothing is held."""


def streams(store: Store, names: Iterable[str], upto: int = END_OF_LOG) -> EventList:
    """Read the events of streams, up to a position; UndecodableEvent for a damaged one."""
    return EventList(
        LogEvent(row.position, row.stream, row.version, row.event.topic, encode(row.event).facts)
        for name in names
        for row in store.read_stream(name, contents=False)
        if row.position <= upto
    )
