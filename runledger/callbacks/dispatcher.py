"""The dispatcher: the one that has the store's lease sends; the others wait to take over."""

import asyncio
import logging
import random
from contextlib import suppress
from typing import Final

from runledger.callbacks.attempt import Sender
from runledger.callbacks.courier import Courier
from runledger.callbacks.leadership import Leadership
from runledger.callbacks.outbox import Outbox
from runledger.callbacks.retries import Chance
from runledger.callbacks.settings import CallbackSettings
from runledger.command_handling.handler import Clock, CommandHandler, now
from runledger.errors import LedgerError
from runledger.outbound import GuardedClient
from runledger.store import Store

_LOG: Final = logging.getLogger("runledger.callbacks")
_SAVE_SECONDS: Final = 5.0


class Dispatcher:
    """Delivers the callbacks of one store, from one event loop, between `start` and `close`."""

    def __init__(
        self,
        store: Store,
        handler: CommandHandler,
        settings: CallbackSettings,
        *,
        client: GuardedClient | None = None,
        clock: Clock = now,
        chance: Chance = random.random,
    ) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock
        self._client = client or GuardedClient()
        self._sender = Sender(store, handler, settings, self._client, clock, chance)
        self._leadership = Leadership(store, settings.lease_seconds)
        self._closing = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start dispatching in a task."""
        for said in self._settings.warnings():
            _LOG.warning("%s", said)
        self._running = asyncio.create_task(self._run(), name="runledger-callbacks")

    async def close(self) -> None:
        """Send due deliveries for `closing_seconds` at most; then stop and release the lease."""
        self._closing.set()
        if self._running is not None:
            await self._running
        await self._client.aclose()

    async def _run(self) -> None:
        while True:
            try:
                if await self._leadership.take():
                    try:
                        await self._lead()
                    finally:
                        await self._leadership.release()
            except Exception as e:
                bug = not isinstance(e, LedgerError)
                _LOG.error("callbacks are not sent at the moment: %s", e, exc_info=bug)
            if self._closing.is_set():
                return
            await _first(self._closing, seconds=self._settings.takeover_seconds)

    async def _lead(self) -> None:
        outbox = await asyncio.to_thread(Outbox, self._store)
        courier = Courier(outbox, self._sender, self._settings, self._clock)
        loop = asyncio.get_running_loop()
        look = save = loop.time()
        try:
            while not self._closing.is_set():
                if loop.time() >= look:
                    while await courier.follow() and not self._closing.is_set():
                        pass
                    look = loop.time() + self._settings.poll_seconds
                if loop.time() >= save:
                    await courier.save()
                    save = loop.time() + _SAVE_SECONDS
                # The lease is checked last: nothing is awaited between it and the requests.
                if not self._leadership.held():
                    _LOG.warning("the lease of the callbacks is lost; waiting to take it again")
                    break
                courier.send_due()
                await _first(self._closing, courier.woken, seconds=max(look - loop.time(), 0))
                courier.woken.clear()
        finally:
            await self._finish(courier)

    async def _finish(self, courier: Courier) -> None:
        """Wait until running attempts are recorded; on closing, send due ones for a limited
        time."""
        if not self._closing.is_set():
            while courier.in_flight and not self._closing.is_set():
                await _first(self._closing, courier.woken)
                courier.woken.clear()
        if self._closing.is_set():
            with suppress(TimeoutError, LedgerError):
                async with asyncio.timeout(self._settings.closing_seconds):
                    await self._empty(courier)
        await courier.stop()
        with suppress(LedgerError):
            await courier.save()

    async def _empty(self, courier: Courier) -> None:
        while await courier.follow():
            pass
        while self._leadership.held():
            courier.send_due()
            if not courier.in_flight:
                break
            await courier.woken.wait()
            courier.woken.clear()


async def _first(*events: asyncio.Event, seconds: float | None = None) -> None:
    """Wait until one of the events is set, or the time is over."""
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
