"""The lock by which one dispatcher of a store sends and the others wait to take over."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

from runledger.callbacks.outbox import NAME
from runledger.store import Store

_ANSWER_SECONDS = 10.0


class Leadership:
    """The store's lock, taken and given back on one thread: SQLite's must not change threads."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="runledger-callbacks")
        self._held: AbstractContextManager[bool] | None = None

    async def take(self) -> bool:
        """Take the lock; return whether it is this dispatcher's."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._take)

    def _take(self) -> bool:
        lock = self._store.leadership(NAME)
        taken = lock.__enter__()
        if taken:
            self._held = lock
        else:
            lock.__exit__(None, None, None)
        return taken

    async def held(self) -> bool:
        """Whether it still is: a database that does not answer has perhaps given it away."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                return await loop.run_in_executor(self._thread, self._store.leads, NAME)
        except TimeoutError:
            return False

    async def release(self) -> None:
        """Give it back."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._release)

    def _release(self) -> None:
        lock, self._held = self._held, None
        if lock is not None:
            lock.__exit__(None, None, None)

    def close(self) -> None:
        """Let go of the thread."""
        self._thread.shutdown(wait=False)
