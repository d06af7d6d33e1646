"""Serves an application until a signal says stop, then ends streams, requests and connections."""

import asyncio
import errno
import signal
import socket
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Final

import uvicorn

from runledger.errors import InvalidArgument
from runledger.server.app import Application
from runledger.server.http_protocol import limited_protocol

PORT: Final = 8283
"""Where the official client looks for a server of its own machine."""
_LOOPBACK: Final = ("127.0.0.1", "::1")


def bind(host: str | None, port: int) -> list[socket.socket]:
    """Return listening sockets: on both loopback addresses, or on the addresses of a host.

    `port` 0 takes a free one, the same for all. Raises InvalidArgument for an address that is not
    this machine's, or a port that is taken.
    """
    sockets: list[socket.socket] = []
    for address in (host,) if host else _LOOPBACK:
        assert address is not None
        try:
            sockets.append(_listen(address, port))
        except OSError as e:
            # A machine without IPv6 has one loopback address.
            if not host and sockets and e.errno != errno.EADDRINUSE:
                continue
            for one in sockets:
                one.close()
            raise InvalidArgument(
                f"address {address} port {port}: expected to listen there, found: {e.strerror or e}"
            ) from e
        port = sockets[-1].getsockname()[1]
    return sockets


def _listen(address: str, port: int) -> socket.socket:
    found = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, where = found[0]
    made = socket.socket(family, kind, protocol)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(where)
        made.listen(2_048)
    except OSError:
        made.close()
        raise
    made.setblocking(False)
    return made


class Serving(uvicorn.Server):
    """Uvicorn's server, whose streams hear of a signal, and whose second signal is not ignored."""

    def __init__(self, application: Application) -> None:
        services = application.services
        super().__init__(
            uvicorn.Config(
                application,
                http=limited_protocol(services.limits),
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=int(services.limits.stop_seconds),
            )
        )
        self._stopping = services.stopping
        self._loop: asyncio.AbstractEventLoop | None = None

    async def run_on(
        self, sockets: Sequence[socket.socket], ready: Callable[[], None] = lambda: None
    ) -> None:
        """Serve on these sockets until a signal; call `ready` once connections are accepted."""
        self._loop = asyncio.get_running_loop()
        telling = asyncio.create_task(self._tell(ready))
        try:
            with self.capture_signals():
                await self._serve(list(sockets))
        finally:
            telling.cancel()

    async def _tell(self, ready: Callable[[], None]) -> None:
        while not self.started:
            await asyncio.sleep(0.005)
        ready()

    def stop(self) -> None:
        """Begin to stop, as at a signal."""
        self.should_exit = True
        self._stopping.set()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Begin to stop; at a second signal, stop at once."""
        if self.should_exit:
            signal.signal(sig, signal.SIG_DFL)
            signal.raise_signal(sig)
        self.should_exit = True
        # A signal comes between any two instructions: only the loop may touch its events.
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)
