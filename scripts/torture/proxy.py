"""A TCP proxy before another socket, whose connections can be cut all at once."""

import contextlib
import socket
import struct
from collections.abc import Callable
from threading import Thread


class Proxy:
    """Forwards connections to where `target` says: a Unix socket, or a port of this machine."""

    def __init__(self, target: Callable[[], str | int | None]) -> None:
        self._target = target
        self._refusing = False
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Reset every connection, in whatever it is doing."""
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                reset = struct.pack("ii", 1, 0)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
                connection.shutdown(socket.SHUT_RDWR)

    def refuse(self) -> None:
        """Cut every connection, and take none until `accept`."""
        self._refusing = True
        self.cut()

    def accept(self) -> None:
        """Take connections again."""
        self._refusing = False

    def close(self) -> None:
        """Take no more connections, and cut those that are open."""
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = self._connected()
                if server is None:
                    client.close()
                    continue
                self._open |= {client, server}
                for pair in ((client, server), (server, client)):
                    Thread(target=self._forward, args=pair, daemon=True).start()

    def _connected(self) -> socket.socket | None:
        target = None if self._refusing else self._target()
        if target is None:
            return None
        family = socket.AF_UNIX if isinstance(target, str) else socket.AF_INET
        server = socket.socket(family)
        try:
            server.connect(target if isinstance(target, str) else ("127.0.0.1", target))
        except OSError:
            server.close()
            return None
        return server

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                target.sendall(data)
        for one in (source, target):
            self._open.discard(one)
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
