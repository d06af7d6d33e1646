"""The courier: follows the log, sends what is due, and keeps what is left to do in order.

It reads the log and nothing else, so that a replay of read models cannot send anything.
"""

import asyncio
import logging
from datetime import timedelta
from typing import Final

from runledger.callbacks.attempt import Sender
from runledger.callbacks.outbox import Outbox, Pending
from runledger.callbacks.receivers import Receivers
from runledger.callbacks.settings import CallbackSettings
from runledger.command_handling.handler import Clock
from runledger.errors import LedgerError

_LOG: Final = logging.getLogger("runledger.callbacks")
_AFTER_A_FAULT: Final = timedelta(minutes=1)
_DOUBLED: Final = 6
"""How often the wait after a fault is doubled at most: to about an hour."""


class Courier:
    """One holder of the lock at work. What is in flight ends before the next one is made."""

    def __init__(
        self, outbox: Outbox, sender: Sender, settings: CallbackSettings, clock: Clock
    ) -> None:
        self._outbox = outbox
        self._sender = sender
        self._clock = clock
        self._slow_after = settings.slow_after_seconds
        self._receivers = Receivers(settings)
        self.in_flight: set[asyncio.Task[None]] = set()
        self.woken = asyncio.Event()
        """Set when an attempt ends or turns out slow: there is room for another one."""

    async def follow(self) -> bool:
        """Read a page of the log; return whether there may be more."""
        page = await asyncio.to_thread(self._outbox.read)
        if page.position == self._outbox.position:
            return False
        for pending in self._outbox.fold(page):
            self._receivers.add(pending)
        return True

    def send_due(self) -> None:
        """Begin the attempts that are due, as many as receivers and limits have room for."""
        moment = self._clock()
        while (pending := self._receivers.take(moment)) is not None:
            task = asyncio.create_task(self._attempt(pending))
            self.in_flight.add(task)
            task.add_done_callback(self.in_flight.discard)

    def _slow(self, pending: Pending) -> None:
        oldest = self._receivers.slow(pending)
        if oldest is not None:
            self._sender.give_up(oldest)
        self.woken.set()

    async def _attempt(self, pending: Pending) -> None:
        alive: bool | None = None
        slow = asyncio.get_running_loop().call_later(self._slow_after, self._slow, pending)
        try:
            pause = self._receivers.pause(pending, self._clock())
            owed, alive = await self._sender.attempt(pending, pause)
            self._outbox.attempted(pending, owed)
            pending.faults = 0
        except Exception as e:
            # Whatever it was, the delivery is not given up for it: giving up is an event, and what
            # cannot be read or written now, a later version or a mended store can.
            _LOG.error(
                "run %s: the callback could not be attempted: %s",
                pending.run_id,
                e,
                exc_info=not isinstance(e, LedgerError),
            )
            pending.due = self._clock() + _AFTER_A_FAULT * 2 ** min(pending.faults, _DOUBLED)
            pending.faults += 1
        finally:
            slow.cancel()
            pending.busy = False
            self._receivers.done(pending, alive, self._clock())
            if not pending.settled:
                self._receivers.add(pending)
            self.woken.set()

    async def save(self) -> None:
        """Keep the checkpoint."""
        await asyncio.to_thread(self._outbox.save, self._outbox.checkpoint)

    async def stop(self) -> None:
        """Cut off what is still in flight."""
        for task in self.in_flight:
            task.cancel()
        await asyncio.gather(*self.in_flight, return_exceptions=True)
