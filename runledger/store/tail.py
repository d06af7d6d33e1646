"""The end of the log, watched once per process for any number of waiters."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from runledger.errors import LedgerError
from runledger.store.protocol import Store

_LOG: Final = logging.getLogger("runledger.tail")
_PAGE: Final = 1_000
_EVERY_SECONDS: Final = 0.02
_AGAIN_SECONDS: Final = 1.0


class Tail:
    """Looks at the end of one log, while anything waits for it, and wakes what waits.

    It is for one event loop. It asks the store, and is told nothing: no event is late because a
    notification was lost.
    """

    def __init__(self, store: Store, *, every_seconds: float = _EVERY_SECONDS) -> None:
        self.loop = asyncio.get_running_loop()
        self._store = store
        self._every_seconds = every_seconds
        self._position = 0
        self._compare_at = 0.0
        self._watches: dict[str | None, set[asyncio.Event]] = {}
        self._looking: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()

    @asynccontextmanager
    async def watch(self, stream: str | None = None) -> AsyncIterator[asyncio.Event]:
        """Give an event that is set when something was appended, to `stream` or to any (None).

        Whatever is appended after the block was entered sets it. So the reader clears it, reads up
        to the end, and only then waits: nothing falls between reading and waiting. Raises
        StoreUnavailable if the end of the log cannot be read.
        """
        woken = asyncio.Event()
        self._watches.setdefault(stream, set()).add(woken)
        try:
            await self._look()
            yield woken
        finally:
            self._watches[stream].discard(woken)
            if not self._watches[stream]:
                del self._watches[stream]
            if not self._watches:
                await self.close()

    def wake_all(self) -> None:
        """Wake everything that waits, so that it reads again: the store was closed."""
        for watches in self._watches.values():
            for woken in watches:
                woken.set()

    async def close(self) -> None:
        """Stop looking; what waits is not woken by appends any more."""
        looking, self._looking = self._looking, None
        if looking is not None:
            looking.cancel()
            with suppress(asyncio.CancelledError):
                await looking

    async def _look(self) -> None:
        # One at a time: another watch must not go on before the position is known.
        async with self._starting:
            if self._looking is None:
                self._position = await asyncio.to_thread(self._store.head)
                self._looking = asyncio.create_task(self._run(), name="runledger-tail")

    async def _run(self) -> None:
        while True:
            try:
                full = await self._wake()
            except LedgerError as e:
                # What waits reads for itself, and sees the same error when it next does.
                _LOG.warning("the end of the log cannot be read at the moment: %s", e)
                await asyncio.sleep(_AGAIN_SECONDS)
            else:
                await asyncio.sleep(0 if full else self._every_seconds)

    async def _expect_not_shorter(self) -> None:
        """Wake everything now and then if the log ends before the position: it has gone back."""
        if self.loop.time() < self._compare_at:
            return
        self._compare_at = self.loop.time() + _AGAIN_SECONDS
        head = await asyncio.to_thread(self._store.head)
        if head < self._position:
            self._position = head
            self.wake_all()

    async def _wake(self) -> bool:
        """Wake what waits for the events that are new; return whether there may be more."""
        rows = await asyncio.to_thread(self._store.read_log, self._position, _PAGE)
        if not rows:
            await self._expect_not_shorter()
            return False
        self._position = rows[-1].position
        for stream in {None, *(row.stream for row in rows)} & self._watches.keys():
            for woken in self._watches[stream]:
                woken.set()
        return len(rows) == _PAGE
