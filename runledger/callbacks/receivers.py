"""Whose turn it is: a queue, a share and a breaker per receiving host.

A receiver's share of the attempts in flight grows by one with every success and falls to one with
a failure, so that a dead receiver holds one place however much waits for it. After several failures
in a row it is left alone for a while; then one attempt tells whether it is back. What was due when
it failed shares the failure: it waits for the next time in its calendar, and no delivery waits for
ever.
"""

import heapq
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import NamedTuple

from runledger.callbacks.outbox import Pending
from runledger.callbacks.settings import CallbackSettings


class Pause(NamedTuple):
    """The receiver is left alone; what was due when it began is not sent."""

    began: datetime
    ends: datetime
    failures: int


@dataclass(slots=True)
class Receiver:
    """One host and port."""

    share: int = 2
    in_flight: int = 0
    failures: int = 0
    pause: Pause | None = None
    waiting: list[tuple[datetime, int, Pending]] = field(default_factory=list)

    def paused(self, now: datetime) -> Pause | None:
        """Return the pause that the receiver is in at this moment."""
        return self.pause if self.pause is not None and now < self.pause.ends else None

    def next(self, now: datetime) -> Pending | None:
        """Return the delivery that is due first, if there is room for it."""
        if self.in_flight >= self.share:
            return None
        pause = self.paused(now)
        while self.waiting:
            due, _, pending = self.waiting[0]
            if pending.waits(due) and due > (now if pause is None else pause.began):
                return None
            heapq.heappop(self.waiting)
            if pending.waits(due):
                return pending
        return None


class Receivers:
    """All receivers for which something waits."""

    def __init__(self, settings: CallbackSettings) -> None:
        self._settings = settings
        self._turns: OrderedDict[str, Receiver] = OrderedDict()
        self._order = count()
        self._in_flight = 0

    def __len__(self) -> int:
        return len(self._turns)

    def add(self, pending: Pending) -> None:
        """Let a delivery wait until it is due; call it again whenever that changes."""
        receiver = self._turns.setdefault(pending.receiver, Receiver())
        heapq.heappush(receiver.waiting, (pending.due, next(self._order), pending))

    def take(self, now: datetime) -> Pending | None:
        """Return a delivery whose turn it is, each receiver after the other; `done` must follow."""
        if self._in_flight >= self._settings.max_in_flight:
            return None
        for _ in range(len(self._turns)):
            name, receiver = next(iter(self._turns.items()))
            self._turns.move_to_end(name)
            pending = receiver.next(now)
            if pending is not None:
                pending.busy = True
                receiver.in_flight += 1
                self._in_flight += 1
                return pending
            idle = not receiver.waiting and not receiver.in_flight
            if idle and not receiver.paused(now):
                del self._turns[name]
        return None

    def pause(self, pending: Pending, now: datetime) -> Pause | None:
        """Return the pause of the receiver: during one, what was taken must not be sent."""
        return self._turns[pending.receiver].paused(now)

    def done(self, name: str, alive: bool | None, now: datetime) -> None:
        """Hear of an attempt's end; `alive` is None where it says nothing of the receiver."""
        receiver = self._turns[name]
        receiver.in_flight -= 1
        self._in_flight -= 1
        if alive is None:
            return
        if alive:
            receiver.failures, receiver.pause = 0, None
            receiver.share = min(receiver.share + 1, self._settings.per_receiver)
            return
        receiver.share = 1
        if receiver.paused(now):
            return  # it was on its way when the pause began, and says nothing more
        receiver.failures += 1
        beyond = receiver.failures - self._settings.breaker_failures
        if beyond >= 0:
            pause = self._settings.breaker_seconds * 2 ** min(beyond, 30)
            seconds = min(pause, self._settings.breaker_max_seconds)
            receiver.pause = Pause(now, now + timedelta(seconds=seconds), receiver.failures)
