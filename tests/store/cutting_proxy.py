"""A TCP proxy before PostgreSQL's Unix socket that cuts a connection at the moment one asks for."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from select import select
from threading import Lock, Thread
from typing import Literal, NamedTuple

# ReadyForQuery, idle: the transaction is over, and this is the end of the answer.
_END_OF_ANSWER = b"Z\x00\x00\x00\x05I"
# Terminate: no exchange. It may come late, from a connection that was closed before the cut.
_GOODBYE = b"X\x00\x00\x00\x04"

Moment = Literal["before the request", "before the answer"]


class _Cut(NamedTuple):
    moment: Moment
    of: bytes
    meanwhile: Callable[[], object]


class CuttingProxy:
    """Forwards every connection to one Unix socket; `cut` makes it cut the next exchanges."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._cuts: list[_Cut] = []
        self._always: _Cut | None = None
        self._choosing = Lock()
        self.cuts_made = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        Thread(target=self._accept, daemon=True).start()

    def cut(
        self, moment: Moment, meanwhile: Callable[[], object] = lambda: None, of: bytes = b""
    ) -> None:
        """Cut the next exchange whose request has the bytes `of` at this moment.

        `meanwhile` is done before the client learns of it. Cuts are made one after the other.
        """
        self._cuts.append(_Cut(moment, of, meanwhile))

    @contextmanager
    def cutting_everything(self, moment: Moment) -> Iterator[None]:
        """Cut every exchange of every connection during the block, however many there are."""
        self._always = _Cut(moment, b"", lambda: None)
        yield
        self._always = None

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as server, suppress(OSError):
            server.connect(self._target)
            while True:
                readable, _, _ = select([client, server], [], [])
                if client in readable:
                    request = client.recv(1 << 20)
                    if not request:
                        return
                    cut = None if request == _GOODBYE else self._next_cut(request)
                    if cut is not None:
                        self._cut(cut, server, request)
                        return
                    server.sendall(request)
                if server in readable:
                    answer = server.recv(1 << 20)
                    if not answer:
                        return
                    client.sendall(answer)

    def _next_cut(self, request: bytes) -> _Cut | None:
        with self._choosing:
            if self._cuts and self._cuts[0].of in request:
                return self._cuts.pop(0)
            return self._always

    def _cut(self, cut: _Cut, server: socket.socket, request: bytes) -> None:
        if cut.moment == "before the answer":
            server.sendall(request)
            answer = b""
            while not answer.endswith(_END_OF_ANSWER):
                answer += server.recv(1 << 20)
        self.cuts_made += 1
        cut.meanwhile()
