"""The poll of the log's end that all followers of an open ledger share."""

import asyncio

from runledger.store import Store
from runledger.store.tail import Tail


class SharedTail:
    """Creates the tail of the running event loop for the first follower, and closes it."""

    def __init__(self) -> None:
        self._tail: Tail | None = None

    def of(self, store: Store) -> Tail:
        """Return the tail that watches a store for all followers of the running event loop.

        Parameters:
            store: the log.
        """
        if self._tail is None or self._tail.loop is not asyncio.get_running_loop():
            self._tail = Tail(store)
        return self._tail

    async def close(self) -> Tail | None:
        """Stop polling; return the tail, whose followers are woken once the store is closed."""
        tail, self._tail = self._tail, None
        if tail is None or tail.loop is not asyncio.get_running_loop():
            return None
        await tail.close()
        return tail
