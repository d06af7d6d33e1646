"""Receivers on this machine that answer as the test says, and a courier that a test drives."""

import asyncio
import base64
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import runledger
from runledger import Actor
from runledger.callbacks import CallbackSettings
from runledger.callbacks.attempt import Sender
from runledger.callbacks.courier import Courier
from runledger.callbacks.outbox import Outbox
from runledger.command_handling.batch import CommandBatch
from runledger.command_handling.handler import CommandHandler
from runledger.events import CallbackAttempted
from runledger.ids import new_id
from runledger.outbound import GuardedClient
from runledger.run import commands
from runledger.store import Store

KEY = "whsec_" + base64.b64encode(b"k" * 32).decode()
LOCAL = {
    "allow_http": True,
    "allow_private_callbacks": True,
    "keys": (KEY,),
    "poll_seconds": 0.01,
    "takeover_seconds": 0.05,
    "lease_seconds": 1.0,
}
BEGIN = datetime(2026, 5, 1, tzinfo=UTC)


@dataclass
class Request:
    """One request as it came; `at` is the time of this machine when its body was whole."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float


Answer = Callable[[Request, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Receiver:
    """A server that keeps what it is sent."""

    answer: Answer
    port: int = 0
    connections: int = 0
    requests: list[Request] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            first, *lines = head.strip().split("\r\n")
            headers = {
                name.lower(): value for name, _, value in (line.partition(": ") for line in lines)
            }
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            request = Request(first.split()[1], headers, body, time.time())
            self.requests.append(request)
            await self.answer(request, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()


def status(code: int, **headers: str) -> Answer:
    """Answer with a status and headers."""

    async def answer(_: Request, writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {code} X", "content-length: 0"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n")
        await writer.drain()

    return answer


@asynccontextmanager
async def receiving(answer: Answer) -> AsyncIterator[Receiver]:
    """Give a receiver that listens for the block."""
    it = Receiver(answer)
    server = await asyncio.start_server(it.handle, "127.0.0.1", 0)
    it.port = server.sockets[0].getsockname()[1]
    try:
        yield it
    finally:
        server.close()


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.time = BEGIN

    def __call__(self) -> datetime:
        return self.time

    def advance(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


class Post:
    """A store with ended runs, and a courier that delivers when it is told to."""

    def __init__(self, store: Store, clock: Clock, **settings: Any) -> None:
        self.store, self.clock = store, clock
        self.settings = CallbackSettings(**{**LOCAL, **settings})
        self.handler = CommandHandler(store, clock=clock)
        self.client = GuardedClient()
        self.chance = 0.5
        self.begin_again()

    def begin_again(self, **settings: Any) -> None:
        """Forget everything but the log, as a process that starts anew does."""
        if settings:
            self.settings = CallbackSettings(**{**LOCAL, **settings})
        self.outbox = Outbox(self.store)
        sender = Sender(
            self.store, self.handler, self.settings, self.client, self.clock, lambda: self.chance
        )
        self.courier = Courier(self.outbox, sender, self.settings, self.clock)

    async def ended(self, url: str | None, *more: commands.Command) -> str:
        """Make a run that ended; return its id."""
        run_id = new_id("run")
        create = commands.CreateRun("agent-a", callback_url=url)
        await self.execute(run_id, create, *(more or (commands.CompleteRun(),)))
        return run_id

    async def execute(self, run_id: str, *given: commands.Command) -> None:
        await self.handler.execute(CommandBatch(Actor(), run_id, given))

    async def deliver(self) -> None:
        """Send what is due at this moment, and wait for what comes of it."""
        while True:
            while await self.courier.follow():
                pass
            self.courier.send_due()
            if not self.courier.in_flight:
                return
            await asyncio.wait(self.courier.in_flight)

    def attempts(self, run_id: str) -> list[CallbackAttempted]:
        stored = self.store.read_stream(run_id, contents=False)
        return [row.event for row in stored if isinstance(row.event, CallbackAttempted)]

    async def __aenter__(self) -> "Post":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.courier.stop()
        await self.client.aclose()
        self.handler.close()


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still."""
    return Clock()


@pytest.fixture
def local_store(tmp_path):
    """A SQLite store, for what has nothing to do with the kind of store."""
    from runledger.store import open_store

    store = open_store(f"sqlite:///{tmp_path}/runs.db")
    yield store
    store.close()


async def dispatching(url: str, settings: dict[str, Any]) -> asyncio.subprocess.Process:
    """Start a dispatcher in a process of its own."""
    root = Path(runledger.__file__).parents[1]
    return await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name("dispatch_process.py")),
        url,
        json.dumps(settings),
        env={**os.environ, "PYTHONPATH": str(root)},
    )


async def until(holds: Callable[[], Any], seconds: float = 120.0) -> Any:
    """Wait until something holds, and return it; fail if it never does."""
    deadline = time.monotonic() + seconds
    while True:
        found = holds()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return found
        assert time.monotonic() < deadline, "it never came to that"
        await asyncio.sleep(0.01)
