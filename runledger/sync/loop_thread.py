"""An event loop in a thread of its own, for callers that have none or must not block theirs."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Iterator
from typing import Any, TypeVar, cast

from runledger.errors import LedgerError

_T = TypeVar("_T")


class LoopThread:
    """A running event loop; a call from any other thread waits for what it executes.

    The thread is a daemon: a program that forgets to close it ends all the same.
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._process = os.getpid()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="runledger-sync", daemon=True
        )
        self._thread.start()

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._loop.is_closed()

    def wait(self, awaitable: Awaitable[_T]) -> _T:
        """Return the result of an awaitable of the loop, or raise its error.

        An interrupt (Ctrl-C) cancels it.

        Raises:
            LedgerError: if the loop is closed, is another process's, or is the caller's own.
        """
        self._expect_other_thread(awaitable)
        future = asyncio.run_coroutine_threadsafe(_result(awaitable), self._loop)
        try:
            return future.result()
        except KeyboardInterrupt:
            future.cancel()
            raise

    def iterate(self, items: AsyncIterator[_T]) -> Iterator[_T]:
        """Yield the items of an asynchronous iterator, which is closed with the one returned."""
        try:
            while True:
                try:
                    item = self.wait(anext(items))
                except StopAsyncIteration:
                    return
                yield item
        finally:
            if not self._loop.is_closed():
                self.wait(cast("Any", items).aclose())

    def close(self) -> None:
        """End the loop; nothing happens if it has ended."""
        if self._loop.is_closed() or self._process != os.getpid():
            return
        self.wait(self._loop.shutdown_asyncgens())
        self.wait(self._loop.shutdown_default_executor())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _expect_other_thread(self, awaitable: Awaitable[Any]) -> None:
        found = None
        if self._loop.is_closed():
            found = "one that is closed"
        elif self._process != os.getpid():
            found = f"one of process {self._process}, of which this one was forked"
        elif threading.current_thread() is self._thread:
            found = "the ledger's own thread, which would wait for itself"
        if found is not None:
            if asyncio.iscoroutine(awaitable):
                awaitable.close()
            raise LedgerError(f"sync: expected an open ledger of this process, found {found}")


async def _result(awaitable: Awaitable[_T]) -> _T:
    return await awaitable
