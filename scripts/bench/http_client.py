"""A client that costs little: keep-alive connections and requests that are bytes already."""

import asyncio
import json
from types import TracebackType
from typing import Any, Final, Self

_LENGTH: Final = b"content-length:"


class HttpClient:
    """One connection to a server of this machine.

    Parameters:
        port: where the server listens.
    """

    def __init__(self, port: int) -> None:
        self._port = port

    async def __aenter__(self) -> Self:
        self.reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._writer.close()

    async def post(self, path: str, body: Any) -> Any:
        """Return the answer to a body that is sent as JSON."""
        return json.loads(await self.send(path, json.dumps(body).encode("utf-8")))

    async def send(self, path: str, data: bytes, kind: str = "application/json") -> bytes:
        """Return the body of the answer to one whose media type is `kind`."""
        head = f"POST {path} HTTP/1.1\r\nHost: localhost:{self._port}\r\n"
        head += f"Content-Type: {kind}\r\nContent-Length: {len(data)}\r\n\r\n"
        self._writer.write(head.encode("ascii") + data)
        return await self._answer()

    async def get(self, path: str) -> Any:
        """Return the answer to a question."""
        self._ask(path)
        return json.loads(await self._answer())

    async def follow(self, path: str) -> asyncio.StreamReader:
        """Return what comes behind the head of an answer that does not end."""
        self._ask(path)
        await self._head()
        return self.reader

    def _ask(self, path: str) -> None:
        self._writer.write(
            f"GET {path} HTTP/1.1\r\nHost: localhost:{self._port}\r\n\r\n".encode("ascii")
        )

    async def _head(self) -> bytes:
        head = await self.reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 2"), head
        return head.lower()

    async def _answer(self) -> bytes:
        head = await self._head()
        begin = head.index(_LENGTH) + len(_LENGTH)
        return await self.reader.readexactly(int(head[begin : head.index(b"\r", begin)]))
