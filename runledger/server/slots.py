"""How many requests are being answered, and how many streams are open, in all and by key."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from runledger.server.limits import Limits
from runledger.server.refusal import Refusal


class RequestSlots:
    """Counts requests that are being answered; for one event loop."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.active = 0

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Count a request for the block; raise Refusal with status 503 if there are too many."""
        if self.active >= self._limits.requests:
            raise Refusal(503, f"{self._limits.requests} requests are being answered; try again")
        self.active += 1
        try:
            yield
        finally:
            self.active -= 1


class StreamSlots:
    """Counts open streams; for one event loop."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._open: Counter[str | None] = Counter()

    @property
    def open(self) -> int:
        """The number of open streams."""
        return self._open.total()

    @contextmanager
    def hold(self, key_id: str | None) -> Iterator[None]:
        """Count a stream for the block; raise Refusal with status 503 if there are too many."""
        if self.open >= self._limits.streams:
            raise Refusal(503, f"{self._limits.streams} streams are open; try again")
        if key_id is not None and self._open[key_id] >= self._limits.streams_per_key:
            most = self._limits.streams_per_key
            raise Refusal(503, f"{most} streams are open with this key; try again")
        self._open[key_id] += 1
        try:
            yield
        finally:
            self._open[key_id] -= 1
            if not self._open[key_id]:
                del self._open[key_id]
