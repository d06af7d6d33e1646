"""The courier: follows the log, sends due deliveries, and schedules the others.

It reads only the log, so a replay of read models cannot send anything.
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
"""The largest number of times that the wait after a fault is doubled: to about an hour."""


class Courier:
    """The work of the dispatcher that has the lease. Attempts end before the next courier is
    made."""

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
        """Set if an attempt ends or becomes slow, so that another one can start."""

    async def follow(self) -> bool:
        """Read a page of the log; return whether there may be more."""
        page = await asyncio.to_thread(self._outbox.read)
        if page.position == self._outbox.position:
            return False
        for pending in self._outbox.fold(page):
            self._receivers.add(pending)
        return True

    def send_due(self) -> None:
        """Start due attempts, as many as the limits of receivers and of the process allow."""
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
            # The delivery is not given up because of any error here: giving up is an event, and a
            # later version or a repaired store may be able to read or write it.
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
        """Save the checkpoint."""
        await asyncio.to_thread(self._outbox.save, self._outbox.checkpoint)

    async def stop(self) -> None:
        """Cancel the attempts that are still in progress."""
        for task in self.in_flight:
            task.cancel()
        await asyncio.gather(*self.in_flight, return_exceptions=True)
