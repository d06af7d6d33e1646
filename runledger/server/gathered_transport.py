"""Writes what is said in one turn of the loop by one system call."""

import asyncio
from typing import Any, Final

_MOST: Final = 64 << 10


class GatheredTransport:
    """A transport whose small writes wait until the end of the turn, and leave it together.

    Uvicorn writes the head and the body of an answer one after the other. Each system call gives up
    the interpreter's lock, for which the threads that append are waiting; to have it back takes
    longer than the call. Large writes are not held back, as the flow of a connection is controlled
    by what its transport has.

    Parameters:
        transport: the one of the connection.
        loop: the loop of the connection.
    """

    def __init__(self, transport: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held: list[bytes] = []
        self._size = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Write at the end of this turn, or at once if it is much."""
        if not self._held:
            self._loop.call_soon(self.flush)
        self._held.append(data)
        self._size += len(data)
        if self._size >= _MOST:
            self.flush()

    def flush(self) -> None:
        """Write what is held back."""
        if self._held:
            held, self._held, self._size = self._held, [], 0
            self._transport.write(b"".join(held))

    def close(self) -> None:
        """Close the connection behind what was written."""
        self.flush()
        self._transport.close()

    def abort(self) -> None:
        """Cut the connection; what is held back is lost with it."""
        self._held.clear()
        self._transport.abort()
