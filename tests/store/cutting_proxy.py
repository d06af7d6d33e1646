"""A TCP proxy before PostgreSQL's Unix socket that cuts a connection at the moment one asks for."""

import socket
from collections.abc import Callable
from contextlib import suppress
from select import select
from threading import Thread
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
                    if self._cuts and request != _GOODBYE and self._cuts[0].of in request:
                        self._cut(server, request)
                        return
                    server.sendall(request)
                if server in readable:
                    answer = server.recv(1 << 20)
                    if not answer:
                        return
                    client.sendall(answer)

    def _cut(self, server: socket.socket, request: bytes) -> None:
        cut = self._cuts.pop(0)
        if cut.moment == "before the answer":
            server.sendall(request)
            answer = b""
            while not answer.endswith(_END_OF_ANSWER):
                answer += server.recv(1 << 20)
        self.cuts_made += 1
        cut.meanwhile()
