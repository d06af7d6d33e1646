"""The lease by which one dispatcher of a store sends and the others wait to take over."""

import asyncio
from contextlib import AbstractContextManager

from runledger.callbacks.outbox import NAME
from runledger.store import Store


class Leadership:
    """The store's lease, taken and given back beside the event loop."""

    def __init__(self, store: Store, seconds: float) -> None:
        self._store = store
        self._seconds = seconds
        self._held: AbstractContextManager[bool] | None = None

    async def take(self) -> bool:
        """Take the lease; return whether it is this dispatcher's."""
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
        """Whether it still is; a database that does not answer has perhaps given it away."""
        return self._store.leads(NAME)

    async def release(self) -> None:
        """Give it back."""
        lease, self._held = self._held, None
        if lease is not None:
            await asyncio.to_thread(lease.__exit__, None, None, None)
