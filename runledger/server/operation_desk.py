"""Does long operations, one at a time, and keeps what came of them."""

import asyncio
import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from runledger.errors import LedgerError, NotFound
from runledger.ids import new_id
from runledger.ledger import RunLedger
from runledger.server.operation import Begun, Kind, Operation, kept
from runledger.server.operation_work import WORK
from runledger.server.problems import document, failure, refusal_of
from runledger.server.refusal import Refusal

_LOG: Final = logging.getLogger("runledger.server")
_KEPT: Final = 100


class _Cancelled(Exception):
    """The operation is to end; raised where it says how far it is."""


class OperationDesk:
    """Holds the operations of one server; all that they write lies below `folder`."""

    def __init__(self, ledger: RunLedger, folder: Path | None) -> None:
        self._ledger = ledger
        self._folder = folder
        self._task: asyncio.Task[None] | None = None
        self._running: Operation | None = None
        self._cancelled = False
        self._operations: dict[str, Operation] = {}
        self.changed = asyncio.Condition()
        if folder is not None and folder.is_dir():
            self._operations = {one.id: one for one in kept(folder)}

    def start(
        self, kind: Kind, arguments: Mapping[str, Any], operation_id: str | None = None
    ) -> Operation:
        """Begin an operation, or return the one of this id, which a request with its key began.

        Raises Refusal: 409 if another is running, 422 if the id is of other work, 501 without a
        folder.
        """
        operation_id = operation_id or new_id("operation")
        if (known := self._operations.get(operation_id)) is not None:
            if (known.kind, known.arguments) != (kind, dict(arguments)):
                raise Refusal(
                    422,
                    f"Idempotency-Key: expected it for one operation, found it of {known.kind} "
                    f"{operation_id}",
                )
            return known
        if self._running is not None:
            raise Refusal(
                409,
                f"one operation at a time: {self._running.kind} is running",
                headers={"Location": f"/api/v1/operations/{self._running.id}"},
            )
        if self._folder is None:
            raise Refusal(501, "operations need read models, and this server was started without")
        operation = Operation(id=operation_id, kind=kind, arguments=dict(arguments))
        self._folder.mkdir(parents=True, exist_ok=True)
        operation.keep(self._folder)
        self._operations[operation.id] = self._running = operation
        self._cancelled = False
        self._task = asyncio.create_task(self._work(operation, self._folder))
        return operation

    def all(self) -> list[Operation]:
        """Return the operations, the newest first."""
        return [*self._operations.values()][: -_KEPT - 1 : -1]

    def get(self, operation_id: str) -> Operation:
        """Return an operation, or raise NotFound."""
        if operation_id not in self._operations:
            raise NotFound("operation", operation_id)
        return self._operations[operation_id]

    def file(self, operation_id: str, name: str) -> Path:
        """Return where a file of an operation lies; only names that it told are looked for."""
        operation = self.get(operation_id)
        if self._folder is None or name not in operation.files:
            raise NotFound("file", name)
        return self._folder / operation.id / name

    def cancel(self, operation_id: str) -> Operation:
        """Ask an operation to end at its next batch; raise Refusal if it can not, or has ended."""
        operation = self.get(operation_id)
        if operation is not self._running:
            raise Refusal(409, f"operation {operation_id} is {operation.state}")
        if operation.kind not in ("replay", "archive"):
            raise Refusal(409, f"{operation.kind} is not cancelled: it ends by itself")
        self._cancelled = True
        return operation

    async def forget_files(self, operation_id: str) -> Operation:
        """Delete what an operation wrote, once it has ended; what it tells stays."""
        operation = self.get(operation_id)
        if operation is self._running:
            raise Refusal(409, f"operation {operation_id} is {operation.state}")
        if self._folder is not None and operation.files:
            await asyncio.to_thread(shutil.rmtree, self._folder / operation_id, ignore_errors=True)
            operation.files = []
            operation.keep(self._folder)
        return operation

    async def close(self) -> None:
        """Ask the running operation to end, and wait for a moment; else it is interrupted."""
        if self._task is not None:
            self._cancelled = True
            await asyncio.wait((self._task,), timeout=2)

    async def _work(self, operation: Operation, folder: Path) -> None:
        told = _Told(self, operation, asyncio.get_running_loop())
        own = folder / operation.id
        own.mkdir(exist_ok=True)
        try:
            result = await WORK[operation.kind](
                self._ledger.operator, own, operation.arguments, told
            )
            operation.result = _plain(result)
            operation.files = sorted(
                file.relative_to(own).as_posix() for file in own.rglob("*") if file.is_file()
            )
            operation.end("done")
        except _Cancelled:
            operation.end("cancelled")
        except LedgerError as e:
            operation.problem = document(refusal_of(e), operation.id)
            operation.end("failed")
        except Exception:
            _LOG.exception("operation %s failed", operation.id)
            operation.problem = document(failure(), operation.id)
            operation.end("failed")
        finally:
            self._running = None
            operation.keep(folder)
            await self._notify()

    @property
    def cancelled(self) -> bool:
        """Whether the running operation is asked to end."""
        return self._cancelled

    def notify_soon(self) -> None:
        """Wake what follows the operation; in the thread of the loop."""
        self._notifying = asyncio.ensure_future(self._notify())

    async def _notify(self) -> None:
        async with self.changed:
            self.changed.notify_all()


class _Told:
    """Writes down how far an operation is, in the thread that does the work."""

    def __init__(
        self, desk: OperationDesk, operation: Operation, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._desk, self._operation, self._loop = desk, operation, loop

    def begun(self, number: int, position: int, head: int) -> None:
        self._operation.begun = Begun(number=number, position=position, head=head)
        self._loop.call_soon_threadsafe(self._desk.notify_soon)

    def progress(self, events: int, position: int) -> None:
        if self._desk.cancelled:
            raise _Cancelled
        self._operation.events += events
        self._operation.position = position
        self._loop.call_soon_threadsafe(self._desk.notify_soon)


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if hasattr(value, "_asdict"):
        named = {name: _plain(one) for name, one in value._asdict().items()}
        # Where it lies on the server is no business of the caller's.
        return {name: one for name, one in named.items() if name != "path"}
    return to_jsonable_python(value, fallback=str)
