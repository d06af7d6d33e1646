"""A TCP proxy before the server's Unix socket, whose connections can be cut all at once."""

import contextlib
import socket
import struct
from pathlib import Path
from threading import Thread


class Proxy:
    """Forwards connections to `<directory>/.s.PGSQL.5432`."""

    def __init__(self, directory: Path) -> None:
        self._target = str(directory / ".s.PGSQL.5432")
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

    def close(self) -> None:
        """Take no more connections, and cut those that are open."""
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                try:
                    server.connect(self._target)
                except OSError:
                    client.close()
                    continue
                self._open |= {client, server}
                for pair in ((client, server), (server, client)):
                    Thread(target=self._forward, args=pair, daemon=True).start()

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                target.sendall(data)
        for one in (source, target):
            self._open.discard(one)
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
