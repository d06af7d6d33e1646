"""Versions that a connection wrote itself: appends after them need no check of their streams."""

from collections.abc import Sequence
from typing import Final

from runledger.store.protocol import Append, Recorded, Verdict

VERSIONS_MAX: Final = 16_384
"""Streams; about 3 MB."""


class KnownVersions:
    """The versions of streams that one connection wrote, for no longer than it lives.

    A version that was recorded stays recorded: an append that expects it leaves no gap, and the
    unique key refuses it where another process has gone on. After a lost connection that may not
    hold, since a server that took over from another may not have the last commits.
    """

    def __init__(self) -> None:
        self._versions: dict[str, int] = {}

    def after(self, appends: Sequence[Append]) -> dict[str, int] | None:
        """Return the versions of the streams after the appends, or None where one may conflict.

        A stream that is not known counts as empty: where it is not, the unique key says so.
        """
        known = self._versions
        left: dict[str, int] = {}
        for append in appends:
            for write in append:
                stream, expected = write.stream, write.expected
                if left.get(stream, known.get(stream, 0)) != expected:
                    return None
                left[stream] = expected + len(write.events)
        return left

    def learn(self, versions: dict[str, int]) -> None:
        """Note the versions of streams."""
        self._versions.update(versions)
        if len(self._versions) > VERSIONS_MAX:
            self._versions = versions

    def learn_from(self, appends: Sequence[Append], verdicts: Sequence[Verdict]) -> None:
        """Note what was recorded."""
        for append, verdict in zip(appends, verdicts, strict=True):
            if isinstance(verdict, Recorded):
                self.learn({w.stream: w.expected + len(w.events) for w in append})
