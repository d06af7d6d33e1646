"""The lease of the store's active dispatcher; the others wait to take over."""

import asyncio
from contextlib import AbstractContextManager

from runledger.callbacks.outbox import NAME
from runledger.store import Store


class Leadership:
    """The store's lease, acquired and released outside the event loop's thread."""

    def __init__(self, store: Store, seconds: float) -> None:
        self._store = store
        self._seconds = seconds
        self._held: AbstractContextManager[bool] | None = None

    async def take(self) -> bool:
        """Try to acquire the lease; return whether this dispatcher has it."""
        return await asyncio.to_thread(self._take)

    def _take(self) -> bool:
        lease = self._store.leadership(NAME, self._seconds)
        taken = lease.__enter__()
        if taken:
            self._held = lease
        else:
            lease.__exit__(None, None, None)
        return taken

    def held(self) -> bool:
        """Whether this dispatcher still has it; it may have been lost if the database does not
        answer."""
        return self._store.leads(NAME)

    async def release(self) -> None:
        """Release the lease."""
        lease, self._held = self._held, None
        if lease is not None:
            await asyncio.to_thread(lease.__exit__, None, None, None)
