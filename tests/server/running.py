"""A real server for tests: it listens on a socket, in a thread with a loop of its own."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
from letta_client import Letta

from runledger import RunLedger
from runledger.importers.otlp.assembly import Waiting
from runledger.server.access_log import AccessLog
from runledger.server.app import Application
from runledger.server.browser_rules import BrowserRules
from runledger.server.limits import Limits
from runledger.server.otlp.receiver import receiving
from runledger.server.services import Services
from runledger.server.serving import Serving, bind

_T = TypeVar("_T")

# Made once: a client would make one of its own, for an address that needs none.
_TLS = ssl.create_default_context()


class RunningServer:
    """Serves a store; `ledger` is the server's own, asked by `do` in the server's loop."""

    def __init__(
        self,
        store_url: str,
        read_models: Path | None,
        *,
        limits: Limits | None = None,
        prepare: Callable[[Application], None] = lambda _: None,
        services: Callable[[RunLedger], dict[str, Any]] = lambda _: {},
    ) -> None:
        self.ledger = RunLedger.open(store_url, read_models)
        self._limits = limits or Limits()
        self._prepare = prepare
        self._services = services
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._failed: BaseException | None = None

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as e:
            self._failed = e
            self._started.set()

    async def _serve(self) -> None:
        self.loop = asyncio.get_running_loop()
        sockets = bind(None, 0)
        self.port = sockets[0].getsockname()[1]
        async with self.ledger:
            self.services = Services(
                self.ledger, limits=self._limits, **self._services(self.ledger)
            )
            rules = BrowserRules({self.port}, ("ledger.example",))
            self.application = Application(self.services, rules, log=AccessLog(quiet=True))
            self._prepare(self.application)
            self.serving = Serving(self.application)
            try:
                async with receiving(self.application, Waiting(0.3, 1.0, 2.0)):
                    await self.serving.run_on(sockets, self._started.set)
            finally:
                await self.services.close()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(120)
        if self._failed is not None:
            raise self._failed
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop as at a signal, and wait for the end."""
        if self._thread.is_alive():
            self.loop.call_soon_threadsafe(self.serving.stop)
        self._thread.join(120)
        assert not self._thread.is_alive()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def do(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Do something with the server's ledger, in its loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    def client(self, **options: Any) -> httpx.Client:
        """Return a plain client."""
        return httpx.Client(base_url=self.url, timeout=60, trust_env=False, verify=_TLS, **options)

    def letta(self, **options: Any) -> Letta:
        """Return the official client of the replaced system, strict."""
        return Letta(base_url=self.url, _strict_response_validation=True, max_retries=0, **options)

    def send(self, data: bytes, *, seconds: float = 60) -> bytes:
        """Send bytes over a connection of their own; return all that comes until it is closed."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=seconds) as connection:
            connection.sendall(data)
            return received(connection)


def received(connection: socket.socket) -> bytes:
    """Return what comes until the other side closes, or nothing more comes in time."""
    pieces = []
    try:
        while piece := connection.recv(65_536):
            pieces.append(piece)
    except (TimeoutError, ConnectionResetError):
        pass
    return b"".join(pieces)
