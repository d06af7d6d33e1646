"""Uvicorn's protocol on httptools, with limits on the head of a request, which it has none of.

Never h11: it takes a Content-Length beside a Transfer-Encoding, and executes what follows as a
second request.
"""

import asyncio
from http import HTTPStatus
from typing import Any, Final, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from runledger.server.gathered_transport import GatheredTransport
from runledger.server.limits import Limits


class _HeadRefused(Exception):
    """The head breaks a limit; the parser is left by it."""


class LimitedProtocol(HttpToolsProtocol):
    """Closes a connection whose head is too large, too slow or not one that we read."""

    limits: Limits
    _head_timer: asyncio.TimerHandle | None = None
    _head_bytes = 0
    _in_head = True
    _refused: tuple[int, str] | None = None

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for the first head."""
        super().connection_made(cast("Any", GatheredTransport(transport, self.loop)))
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on; of a head that does not end, no more than its limit is kept."""
        # Of a head that begins behind another request's body, the next piece counts first.
        in_head = self._in_head
        super().data_received(data)
        if in_head and self._in_head and not self.transport.is_closing():
            self._head_bytes += len(data)
            if self._head_bytes > self.limits.head:
                self._refuse(431, f"the head of a request has {self.limits.head} bytes at most")

    def send_400_response(self, msg: str) -> None:
        """Answer what the parser could not read, or a callback of ours refused."""
        status, said = self._refused or (400, msg)
        self._refuse(status, said)

    def on_message_begin(self) -> None:
        """Begin a head; the first of a connection is awaited already."""
        super().on_message_begin()
        self._in_head = True
        self._head_bytes = 0
        if self._head_timer is None:
            self._await_head()

    def on_url(self, url: bytes) -> None:
        """Take a piece of the target."""
        super().on_url(url)
        if len(self.url) > self.limits.target:
            self._fail(414, f"the target of a request has {self.limits.target} bytes at most")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field."""
        super().on_header(name, value)
        if len(self.headers) > self.limits.fields:
            self._fail(431, f"the head of a request has {self.limits.fields} fields at most")
        size = len(self.url) + sum(len(n) + len(v) + 4 for n, v in self.headers)
        if size > self.limits.head:
            self._fail(431, f"the head of a request has {self.limits.head} bytes at most")

    def on_headers_complete(self) -> None:
        """Hand the request over, if its target is a path."""
        self._in_head = False
        self._stop_timer()
        if not self.url.startswith(b"/"):
            self._fail(400, "expected a path as the target of a request")
        packed = [value for name, value in self.headers if name == b"transfer-encoding"]
        if packed and [value.lower() for value in packed] != [b"chunked"]:
            self._fail(400, "expected chunked as the only Transfer-Encoding")
        # What ends a client that does not read: to close would wait for it.
        self.scope["extensions"] = {
            ABORT: {"abort": self.transport.abort, "waits": self._waits},
        }
        super().on_headers_complete()

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection that is idle; one whose client does not read ends all the same."""
        super().timeout_keep_alive_handler()
        if self.transport.get_write_buffer_size():
            self.loop.call_later(self.limits.write_seconds, self.transport.abort)

    def _waits(self) -> bool:
        """Whether the client has to read before more is written."""
        return self.flow.write_paused

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(
            self.limits.head_seconds,
            self._refuse,
            408,
            f"the head of a request comes within {self.limits.head_seconds:g} s",
        )

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _fail(self, status: int, said: str) -> None:
        self._refused = (status, said)
        raise _HeadRefused

    def _refuse(self, status: int, said: str) -> None:
        self._stop_timer()
        if self.transport.is_closing():
            return
        if self.cycle is not None and not self.cycle.response_complete:
            # The answer to an earlier request is on its way: this would be taken for it.
            self.transport.abort()
            return
        self.transport.write(_answer(status, said))
        self.transport.close()


def limited_protocol(limits: Limits) -> type[LimitedProtocol]:
    """Return the protocol with these limits; uvicorn takes a class and makes its own objects."""
    return type("LimitedProtocol", (LimitedProtocol,), {"limits": limits})


ABORT: Final = "runledger.abort"
"""The extension of a scope: what cuts the connection, and tells whether its client must read."""


def _answer(status: int, said: str) -> bytes:
    body = b'{"detail":"' + said.encode("ascii") + b'"}'
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
        "content-type: application/json\r\n"
        f"content-length: {len(body)}\r\n"
        "x-content-type-options: nosniff\r\n"
        "connection: close\r\n\r\n"
    )
    return head.encode("ascii") + body
