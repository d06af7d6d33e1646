"""The scheduling of deliveries: a queue for each receiving host, and the choice of the next host.

The number of concurrent attempts per receiver grows by one with every success and falls to one with
a failure, so that a dead receiver uses one place however many deliveries wait for it. After several
failures in a row the receiver is paused (a circuit breaker); then one attempt checks whether it
works again. Deliveries that were due when it failed share the failure: each waits for the next time
in its retry schedule, and no delivery waits forever.

A thousand dead receivers must not delay one that answers, so there are three queues of receivers,
served in turn: those that answered last time, those that were never called, those that failed. The
last two together have half of the places. An attempt without an answer after `slow_after_seconds`
releases its place and continues as a slow attempt. There are up to `max_slow` of these; the oldest
is aborted if another one needs the room.
"""

import heapq
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from itertools import count, cycle
from typing import NamedTuple

from runledger.callbacks.outbox import Pending
from runledger.callbacks.settings import CallbackSettings


class Pause(NamedTuple):
    """A pause of a receiver; deliveries that were due at its beginning are not sent."""

    began: datetime
    ends: datetime
    failures: int


class Standing(Enum):
    """The result of a receiver's last attempt; also the order in which receivers are served."""

    ANSWERED = "answered"
    NEW = "new"
    FAILED = "failed"


@dataclass(slots=True)
class Receiver:
    """One host and port."""

    share: int = 2
    in_flight: int = 0
    failures: int = 0
    standing: Standing = Standing.NEW
    pause: Pause | None = None
    waiting: list[tuple[datetime, int, Pending]] = field(default_factory=list)

    def paused(self, now: datetime) -> Pause | None:
        """Return the receiver's current pause."""
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
    """All receivers with waiting deliveries."""

    def __init__(self, settings: CallbackSettings) -> None:
        self._settings = settings
        self._known: dict[str, Receiver] = {}
        self._turns: dict[Standing, OrderedDict[str, Receiver]] = {
            standing: OrderedDict() for standing in Standing
        }
        self._standings = cycle(Standing)
        self._newest_first = cycle((True, False))
        self._order = count()
        self._places: dict[Pending, Standing] = {}
        self._slow: OrderedDict[Pending, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def add(self, pending: Pending) -> None:
        """Schedule a delivery; call it again whenever its due time changes."""
        name = pending.receiver
        receiver = self._known.get(name)
        if receiver is None:
            receiver = self._known[name] = self._turns[Standing.NEW][name] = Receiver()
        heapq.heappush(receiver.waiting, (pending.due, next(self._order), pending))

    def take(self, now: datetime) -> Pending | None:
        """Return the next delivery, alternating between receivers; `done` must be called for it."""
        if len(self._places) >= self._settings.max_in_flight:
            return None
        for _ in Standing:
            standing = next(self._standings)
            if standing is not Standing.ANSWERED and not self._room_for_the_untrusted():
                continue
            for name, receiver in self._in_turn(standing):
                pending = receiver.next(now)
                if pending is not None:
                    pending.busy = True
                    receiver.in_flight += 1
                    self._places[pending] = standing
                    return pending
                idle = not receiver.waiting and not receiver.in_flight
                if idle and not receiver.paused(now):
                    del self._turns[standing][name], self._known[name]
        return None

    def _room_for_the_untrusted(self) -> bool:
        answered = sum(standing is Standing.ANSWERED for standing in self._places.values())
        return len(self._places) - answered < (self._settings.max_in_flight + 1) // 2

    def _in_turn(self, standing: Standing) -> Iterator[tuple[str, Receiver]]:
        turns = self._turns[standing]
        if standing is Standing.NEW:
            # Taken alternately from both ends: a new receiver does not wait behind a thousand that
            # do not answer, and those do not wait forever behind newer ones.
            newest_first = next(self._newest_first)
            yield from list(reversed(turns.items()) if newest_first else turns.items())
            return
        for _ in range(len(turns)):
            name, receiver = next(iter(turns.items()))
            turns.move_to_end(name)
            yield name, receiver

    def slow(self, pending: Pending) -> Pending | None:
        """Release the place of a slow attempt; return the one that must be aborted to make room."""
        if self._places.pop(pending, None) is None:
            return None
        self._slow[pending] = None
        if len(self._slow) <= self._settings.max_slow:
            return None
        oldest, _ = self._slow.popitem(last=False)
        return oldest

    def pause(self, pending: Pending, now: datetime) -> Pause | None:
        """Return the pause of the receiver: during a pause, the taken delivery must not be sent."""
        return self._known[pending.receiver].paused(now)

    def done(self, pending: Pending, alive: bool | None, now: datetime) -> None:
        """Record the end of an attempt; `alive` is None if it says nothing about the receiver."""
        self._places.pop(pending, None)
        self._slow.pop(pending, None)
        name = pending.receiver
        receiver = self._known[name]
        receiver.in_flight -= 1
        if alive is None:
            return
        self._rank(name, receiver, Standing.ANSWERED if alive else Standing.FAILED)
        if alive:
            receiver.failures, receiver.pause = 0, None
            receiver.share = min(receiver.share + 1, self._settings.per_receiver)
            return
        receiver.share = 1
        if receiver.paused(now):
            return  # it was sent before the pause began, and says nothing new
        receiver.failures += 1
        beyond = receiver.failures - self._settings.breaker_failures
        if beyond >= 0:
            pause = self._settings.breaker_seconds * 2 ** min(beyond, 30)
            seconds = min(pause, self._settings.breaker_max_seconds)
            receiver.pause = Pause(now, now + timedelta(seconds=seconds), receiver.failures)

    def _rank(self, name: str, receiver: Receiver, standing: Standing) -> None:
        if receiver.standing is not standing:
            del self._turns[receiver.standing][name]
            receiver.standing = standing
            self._turns[standing][name] = receiver
