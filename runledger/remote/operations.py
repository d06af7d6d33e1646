"""Long operations of a server: begun, awaited, and their files fetched."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from pydantic import BaseModel, TypeAdapter

from projections.fold.engine import Begun, Progress
from runledger.errors import LedgerError
from runledger.remote.connection import Connection, ConnectionLost
from runledger.remote.problems import error_in

_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 1.0


class _Begun(BaseModel):
    number: int
    position: int
    head: int


class Operation(BaseModel):
    """What a server tells of an operation."""

    id: str
    kind: str
    state: str
    begun: _Begun | None = None
    events: int = 0
    position: int | None = None
    result: Any = None
    problem: dict[str, Any] | None = None
    files: list[str]


_OPERATION: Final = TypeAdapter(Operation)


class Operations:
    """The operations of the server behind a connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def done(
        self,
        kind: str,
        arguments: Mapping[str, Any],
        *,
        begun: Begun | None = None,
        progress: Progress | None = None,
    ) -> Operation:
        """Begin an operation and wait for its end; raise the error that it ended with.

        It goes on at the server if the caller does not wait for its end.
        """
        body = {"kind": kind, "arguments": dict(arguments)}
        operation = await self._connection.command("POST", "operations", _OPERATION, body)
        events, pause = 0, _FIRST_PAUSE
        while True:
            if begun is not None and operation.begun is not None:
                begun(operation.begun.number, operation.begun.position, operation.begun.head)
                begun = None
            if progress is not None and operation.position is not None:
                progress(operation.events - events, operation.position)
                events = operation.events
            if operation.state != "running":
                return _expect_done(operation)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
            operation = await self._connection.ask(f"operations/{operation.id}", _OPERATION)

    async def fetch(self, operation: Operation, name: str, target: Path) -> None:
        """Write a file of an operation to a path here, begun anew after a lost connection."""
        path = f"operations/{operation.id}/files/{quote(name, safe='')}"
        patience = self._connection.patience()
        while True:
            try:
                async with self._connection.pieces(path) as pieces:
                    with target.open("wb") as file:
                        async for piece in pieces:
                            file.write(piece)
                return
            except ConnectionLost as e:
                await patience.wait(str(e))

    async def forget_files(self, operation: Operation) -> None:
        """Let the server delete what an operation wrote."""
        path = f"operations/{operation.id}/files"
        await self._connection.command("DELETE", path, _OPERATION)


def _expect_done(operation: Operation) -> Operation:
    if operation.state == "done":
        return operation
    if operation.problem is not None:
        raise error_in(operation.problem)
    raise LedgerError(f"{operation.kind} {operation.id}: expected it done, found {operation.state}")
