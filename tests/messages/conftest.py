"""A real receiver on this machine, and resolvers that answer what the test says."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

PEM = Path(__file__).parent / "receiver.pem"

Answer = Callable[["Receiver", asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Receiver:
    """Counts connections, keeps the requests, and lets the test write the answer."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.port = 0
        self.connections = 0
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.server_names: list[str | None] = []
        self.sent = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            first, *lines = head.strip().split("\r\n")
            headers = {
                name.lower(): value for name, _, value in (line.partition(": ") for line in lines)
            }
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            self.requests.append((first, headers, body))
            await self._answer(self, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@pytest.fixture
def receiver():
    """Opens a receiver: `async with receiver(answer, host=…, tls=…) as it`."""

    @asynccontextmanager
    async def open_receiver(
        answer: Answer, *, host: str = "127.0.0.1", port: int = 0, tls: bool = False
    ) -> AsyncIterator[Receiver]:
        it = Receiver(answer)
        context = None
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(PEM)

            def note(_: ssl.SSLObject, name: str | None, __: ssl.SSLContext) -> None:
                it.server_names.append(name)

            context.sni_callback = note
        server = await asyncio.start_server(it.handle, host, port, ssl=context)
        it.port = server.sockets[0].getsockname()[1]
        try:
            yield it
        finally:
            server.close()

    return open_receiver


@pytest.fixture
def trusting() -> ssl.SSLContext:
    """Trusts the receiver's certificate, which is for receiver.example, and no other."""
    return ssl.create_default_context(cafile=PEM)


@pytest.fixture
def reply():
    """Makes an answer of a status line, headers and a body."""

    def make(status: int = 200, body: bytes = b"", **headers: str) -> Answer:
        async def answer(it: Receiver, _: asyncio.StreamReader, out: asyncio.StreamWriter) -> None:
            lines = [f"HTTP/1.1 {status} X", f"content-length: {len(body)}"]
            lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
            out.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
            await out.drain()

        return answer

    return make


@pytest.fixture
def resolver():
    """Makes a resolver that gives one list of addresses after the other, and counts."""

    class Scripted:
        def __init__(self, answers: Sequence[Sequence[str]]) -> None:
            self.answers = list(answers)
            self.asked: list[tuple[str, int]] = []

        async def __call__(self, host: str, port: int) -> Sequence[str]:
            self.asked.append((host, port))
            return self.answers[min(len(self.asked), len(self.answers)) - 1]

    def make(*answers: Sequence[str]) -> Scripted:
        return Scripted(answers)

    return make
