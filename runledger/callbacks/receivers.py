"""Whose turn it is: deliveries in queues, one per receiving host, and which host is served next.

A receiver's share of the attempts in flight grows by one with every success and falls to one with
a failure, so that a dead receiver holds one place however much waits for it. After several failures
in a row it is left alone for a while; then one attempt tells whether it is back. What was due when
it failed shares the failure: it waits for the next time in its calendar, and no delivery waits for
ever.

A thousand dead receivers must not delay one that answers, so there are three queues of receivers,
served in turn: those that answered last time, those that were never asked, those that failed.
The last two together have half of the places, and an attempt that has no answer after
`slow_after_seconds` gives its place up: it goes on beside them, up to `max_slow` attempts, of which
the oldest is ended where another one needs the room.
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
    """The receiver is left alone; what was due when it began is not sent."""

    began: datetime
    ends: datetime
    failures: int


class Standing(Enum):
    """What the last attempt says of a receiver; also the order in which they are served."""

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
        """Let a delivery wait until it is due; call it again whenever that changes."""
        name = pending.receiver
        receiver = self._known.get(name)
        if receiver is None:
            receiver = self._known[name] = self._turns[Standing.NEW][name] = Receiver()
        heapq.heappush(receiver.waiting, (pending.due, next(self._order), pending))

    def take(self, now: datetime) -> Pending | None:
        """Return a delivery whose turn it is, each receiver after the other; `done` must follow."""
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
            # By turns from both ends: one that has just appeared does not wait behind a thousand
            # that will not answer, and those do not wait for ever behind newer ones.
            newest_first = next(self._newest_first)
            yield from list(reversed(turns.items()) if newest_first else turns.items())
            return
        for _ in range(len(turns)):
            name, receiver = next(iter(turns.items()))
            turns.move_to_end(name)
            yield name, receiver

    def slow(self, pending: Pending) -> Pending | None:
        """Let an attempt give its place up; return the one that must end to make room for it."""
        if self._places.pop(pending, None) is None:
            return None
        self._slow[pending] = None
        if len(self._slow) <= self._settings.max_slow:
            return None
        oldest, _ = self._slow.popitem(last=False)
        return oldest

    def pause(self, pending: Pending, now: datetime) -> Pause | None:
        """Return the pause of the receiver: during one, what was taken must not be sent."""
        return self._known[pending.receiver].paused(now)

    def done(self, pending: Pending, alive: bool | None, now: datetime) -> None:
        """Hear of an attempt's end; `alive` is None if it says nothing of the receiver."""
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
            return  # it was on its way when the pause began, and says nothing more
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
