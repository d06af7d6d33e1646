"""Appends that were acknowledged to this process: a log that has lost some of them is detected."""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from runledger.store.protocol import Append, Conflicted, Recorded, Verdict

_LOG: Final = logging.getLogger("runledger.store")
MOST: Final = 1_024
"""Commits; what was lost before the oldest of them is told of as lost from there."""


class Place(NamedTuple):
    """An event where it was recorded: its stream, its version there, and its facts."""

    stream: str
    version: int
    facts: bytes


class _Commit(NamedTuple):
    first: int
    last: int
    event: Place


class Acknowledged:
    """The last commits of one process; for the thread that appends.

    `epoch` counts how often the log was found to have gone back: what was read from it in an
    earlier epoch may be gone, and so may the state that a command was decided on.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._commits: deque[_Commit] = deque(maxlen=MOST)
        self.epoch = 0

    def note(self, appends: Sequence[Append], verdicts: Sequence[Verdict]) -> None:
        """Keep in mind what was recorded by one commit."""
        recorded = [
            (append, verdict)
            for append, verdict in zip(appends, verdicts, strict=True)
            if isinstance(verdict, Recorded)
        ]
        if recorded:
            append, verdict = recorded[-1]
            write = append[-1]
            event = Place(write.stream, write.expected + len(write.events), write.events[-1].facts)
            self._commits.append(_Commit(recorded[0][1].first, verdict.last, event))

    @property
    def last(self) -> int:
        """The last position that was recorded by this process, 0 for none."""
        return self._commits[-1].last if self._commits else 0

    def lost(self, find: Callable[[int], Place | None], *, elsewhere: bool = False) -> bool:
        """Say whether the log has gone back, and warn of the range of positions that are lost.

        `find` returns what a position holds now; `elsewhere` says that another server answers, so
        that events of other processes may be lost.
        """
        gone: list[_Commit] = []
        while self._commits and find(self._commits[-1].last) != self._commits[-1].event:
            gone.append(self._commits.pop())
        if not gone and not elsewhere:
            return False
        self.epoch += 1
        if gone:
            _LOG.warning(
                "store %s: expected the events that were recorded at positions %d to %d, found "
                "others or none: the log has gone back, as after a restored backup or a failover. "
                "These events are lost; commands on their runs are decided again on what is left",
                self._url,
                gone[-1].first,
                gone[0].last,
            )
        else:
            _LOG.warning(
                "store %s: another server answers: commands are decided again on what it has",
                self._url,
            )
        return True


def to_decide_again(append: Append, found: int | None = None) -> Conflicted:
    """Return the verdict on an append that was decided on a log that has gone back since.

    `found` is the version of its first stream, which may be the expected one: of other events.
    """
    write = append[0]
    return Conflicted(write.stream, write.expected, write.expected if found is None else found)
