"""Requests between processes through a socket, to the one that has the read models open.

DuckDB lets one process open a file, so work on the live file is done by the process that has it
open. A request and its answer are a line of JSON each. A first byte confirms that the request was
accepted, which distinguishes a long request from a process that serves none. If a connection ends
without an answer, the process has died.
"""

import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from projections.operator.holder_socket import connect, listen, remove
from runledger.errors import (
    LedgerError,
    ProjectionFailed,
    ReadModelsDiverged,
    ReadModelsError,
    ReadModelsLocked,
)

PATIENCE_SECONDS: Final = 15.0
"""How long a request waits to be accepted."""
_AGAIN_SECONDS: Final = 0.025
_TAKEN: Final = b"+"
_LONGEST: Final = 16 << 20
_PIECE: Final = 1 << 20
_LOG: Final = logging.getLogger("runledger.read_models")

_TOLD: Final = {kind.__name__: kind for kind in (ProjectionFailed, ReadModelsDiverged)}
"""Errors that keep their class when they are raised again in the process that asked."""

Serve = Callable[[str, Mapping[str, Any]], str]
"""Executes a request, given its verb and arguments, and returns the answer as JSON."""


class RequestServer:
    """Serves the requests for one read-models file, each in a thread of its own."""

    def __init__(self, path: Path, serve: Serve) -> None:
        self._path = path
        self._serve = serve
        self._stopped = False
        self._serving: set[threading.Thread] = set()
        self._listener: socket.socket | None = None
        try:
            self._listener = listen(path)
        except OSError as e:
            _LOG.warning("read models %s: other processes cannot ask this one: %s", path, e)
            return
        self._thread = threading.Thread(
            target=self._accept, args=(self._listener,), name="runledger-holder", daemon=True
        )
        self._thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            if self._stopped:
                connection.close()
                return
            thread = threading.Thread(target=self._answer, args=(connection,), daemon=True)
            self._serving.add(thread)
            thread.start()

    def _answer(self, connection: socket.socket) -> None:
        try:
            # The caller may have disconnected meanwhile; the request is still executed.
            with connection, suppress(OSError):
                connection.sendall(_TAKEN)
                asked = _line(connection, _LONGEST)
                answer = self._served(asked)
                connection.sendall(json.dumps(answer).encode() + b"\n")
        finally:
            self._serving.discard(threading.current_thread())

    def _served(self, asked: bytes) -> dict[str, str]:
        try:
            request = json.loads(asked)
            return {"answer": self._serve(request["verb"], request["arguments"])}
        except LedgerError as e:
            return {"error": str(e), "kind": type(e).__name__}
        except Exception as e:
            # The caller must learn of a bug, and other requests must be served after it.
            return {"error": f"the process that holds the read models failed: {e!r}"}

    def close(self) -> None:
        """Finish the requests that are being served, then stop."""
        if self._listener is None:
            return
        self._stopped = True
        # Closing a socket does not wake a thread that waits for a connection to it: a shutdown does
        # on Linux, a connection on other systems.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        with suppress(OSError):
            connect(self._path).close()
        self._thread.join()
        self._listener.close()
        remove(self._path)
        for thread in list(self._serving):
            thread.join()


def request(path: Path, verb: str, patience: float = PATIENCE_SECONDS, **arguments: Any) -> str:
    """Send a request to the process that has the read models at `path` open; return its answer.

    Raises:
        ReadModelsLocked: if no process accepts the request in time.
        ReadModelsError: if the request fails in the other process, with its message (as
            ProjectionFailed or ReadModelsDiverged if it raised one of these), or if that process
            dies.
    """
    answer = ask_holder(path, verb, patience, **arguments)
    if "error" in answer:
        raise _TOLD.get(answer.get("kind", ""), ReadModelsError)(answer["error"])
    return str(answer["answer"])


def ask_holder(path: Path, verb: str, patience: float, **arguments: Any) -> Mapping[str, str]:
    """Return the other process's answer: `answer`, or `error` and `kind`."""
    deadline = time.monotonic() + patience
    with _taken(path, deadline) as connection:
        try:
            connection.settimeout(None)
            connection.sendall(json.dumps({"verb": verb, "arguments": arguments}).encode() + b"\n")
            line = _line(connection)
        except OSError:
            line = b""
    if not line.endswith(b"\n"):
        raise ReadModelsError(
            f"read models {str(path)!r}: the process that held them ended while it was asked to "
            f"{verb}"
        )
    answer: Mapping[str, str] = json.loads(line)
    return answer


def _taken(path: Path, deadline: float) -> socket.socket:
    while True:
        with suppress(OSError):
            connection = connect(path)
            try:
                connection.settimeout(max(_AGAIN_SECONDS, deadline - time.monotonic()))
                if connection.recv(1) == _TAKEN:
                    return connection
            except BaseException:
                connection.close()
                raise
            connection.close()
        if time.monotonic() > deadline:
            raise ReadModelsLocked(
                f"read models {str(path)!r}: another process holds them and does not serve "
                f"requests; expected a running ledger"
            )
        time.sleep(_AGAIN_SECONDS)


def _line(connection: socket.socket, most: int | None = None) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while True:
        piece = connection.recv(_PIECE)
        pieces.append(piece)
        size += len(piece)
        if not piece or piece.endswith(b"\n") or (most is not None and size > most):
            return b"".join(pieces)
