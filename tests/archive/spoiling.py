"""Histories with events in them that cannot be applied, and what must follow from those."""

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from runledger.store import arrow
from tests.projections.histories import History

Row = tuple[int, str, int, str, bytes]

SPOILERS = {
    "not JSON": lambda row: (*row[:4], row[4][:-1]),
    "not UTF-8": lambda row: (*row[:4], b"\xff\xfe" + row[4]),
    "no object": lambda row: (*row[:4], b"[1]"),
    "null": lambda row: (*row[:4], b"null"),
    "nothing": lambda row: (*row[:4], b""),
    "unknown topic": lambda row: (*row[:3], "run.teleported", row[4]),
    "newer revision": lambda row: (*row[:4], row[4].replace(b'"revision":', b'"revision":9', 1)),
    "revision is no number": lambda row: (*row[:4], row[4].replace(b'"revision":', b'"x":', 1)),
    "fact missing": lambda row: (*row[:4], row[4].replace(b'"organization":', b'"organisation":')),
    "fact too many": lambda row: (*row[:4], row[4][:-1] + b',"teleport":1}'),
    "number is no number": lambda row: (*row[:4], row[4][:-1] + b',"prompt_tokens":"many"}'),
    "time is no time": lambda row: (
        *row[:4],
        row[4].replace(b'"occurred_at":"', b'"occurred_at":"x'),
    ),
}


@dataclass(frozen=True)
class Log:
    """Rows that an engine can read; positions may have gaps."""

    rows: tuple[Row, ...]

    @property
    def head(self) -> int:
        """The last position."""
        return self.rows[-1][0]

    def read(self, after: int, upto: int, limit: int) -> Any:
        """Return the next events as Arrow, or None."""
        rows = [row for row in self.rows if after < row[0] <= upto][:limit]
        if not rows:
            return None
        position, stream, version, topic, facts = zip(*rows, strict=True)
        return arrow.table(
            position=arrow.int64(position),
            stream=arrow.string(stream),
            version=arrow.int64(version),
            topic=arrow.string(topic),
            facts=arrow.binary(facts),
        )

    def close(self) -> None:
        """Do nothing."""

    def without(self, positions: set[int]) -> "Log":
        """Return the log as if some events had never been recorded."""
        return Log(tuple(row for row in self.rows if row[0] not in positions))


@dataclass(frozen=True)
class Spoiled:
    """A log before and after some of its events were spoiled."""

    sound: Log
    log: Log
    poison: frozenset[int]

    def parked(self, upto: int | None = None) -> dict[str, list[int]]:
        """Return the events that must be left out, by stream: the poison and what follows on it.

        A run whose deletion can be applied is gone, whatever came before.
        """
        found: dict[str, list[int]] = {}
        for position, stream, _, topic, _ in self.log.rows:
            if upto is not None and position > upto:
                break
            if topic == "run.deleted" and position not in self.poison:
                found.pop(stream, None)
            elif stream in found or position in self.poison:
                found.setdefault(stream, []).append(position)
        return found


def spoiled(history: History, faults: dict[int, str]) -> Spoiled:
    """Spoil the events at some positions."""
    rows = tuple(history.rows)
    bad = tuple(SPOILERS[faults[row[0]]](row) if row[0] in faults else row for row in rows)
    return Spoiled(Log(rows), Log(bad), frozenset(faults))


def faults(history: History) -> st.SearchStrategy[dict[int, str]]:
    """Return a strategy of faults at positions of a history."""
    return st.dictionaries(
        st.integers(1, history.head), st.sampled_from(sorted(SPOILERS)), min_size=1, max_size=4
    )
