"""Collects commands of many tasks into batches, as the appender collects appends."""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from pydantic import BaseModel, TypeAdapter

from runledger.errors import LedgerError, StoreUnavailable
from runledger.remote.connection import Connection
from runledger.remote.problems import error_in

_LINES: Final = 1_000
_BYTES: Final = 4 << 20
_AGAIN_SECONDS: Final = 0.2


class _Result(BaseModel):
    line: int
    status: str
    problem: dict[str, Any] | None = None


class _Results(BaseModel):
    results: list[_Result]


_RESULTS: Final = TypeAdapter(_Results)


class _Waiting(NamedTuple):
    line: bytes
    run_id: str
    answer: asyncio.Future[None]
    until: float


class Batcher:
    """Sends one batch at a time; what is submitted meanwhile is in the next one.

    A batch has one command of a run, as neighbours of one run are recorded together or not at all:
    two tasks that work on one run must not fail for each other. Commands carry the ids of what they
    record, so that each may be sent again in another batch.

    Parameters:
        connection: sends the batches.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._waiting: deque[_Waiting] = deque()
        self._working: asyncio.Task[None] | None = None

    async def submit(self, op: str, run_id: str, arguments: Mapping[str, Any]) -> None:
        """Have a command executed; raise what the server says if it refuses."""
        loop = asyncio.get_running_loop()
        line = self._connection.json({"op": op, "run_id": run_id, **arguments})
        until = loop.time() + self._connection.retry_for
        waiting = _Waiting(line, run_id, loop.create_future(), until)
        self._waiting.append(waiting)
        if self._working is None:
            self._working = loop.create_task(self._work(), name="runledger-batches")
        await waiting.answer

    async def close(self) -> None:
        """Wait for what was submitted."""
        if self._working is not None:
            await self._working

    async def _work(self) -> None:
        try:
            # What is ready to run now may submit as well.
            await asyncio.sleep(0)
            while self._waiting:
                await self._send(self._take())
        finally:
            self._working = None

    def _take(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        left: deque[_Waiting] = deque()
        runs: set[str] = set()
        size = 0
        for one in self._waiting:
            fits = not batch or (len(batch) < _LINES and size + len(one.line) <= _BYTES)
            # One that is left keeps its run's later ones behind it.
            if fits and one.run_id not in runs:
                batch.append(one)
                size += len(one.line)
            else:
                left.append(one)
            runs.add(one.run_id)
        self._waiting = left
        return batch

    async def _send(self, batch: Sequence[_Waiting]) -> None:
        body = b"\n".join(one.line for one in batch) + b"\n"
        try:
            found = await self._connection.batch(body, _RESULTS)
        except StoreUnavailable as e:
            _fail(batch, e)
        except LedgerError as e:
            if len(batch) == 1:
                _fail(batch, e)
                return
            # One line is no line that the server reads; its neighbours must not fail for it.
            for one in batch:
                await self._send([one])
        except BaseException as e:
            # A bug must reach the callers: they would wait for ever.
            _fail(batch, e)
            raise
        else:
            await self._settle(batch, found.results)

    async def _settle(self, batch: Sequence[_Waiting], results: Sequence[_Result]) -> None:
        now = asyncio.get_running_loop().time()
        problems = {result.line: result.problem for result in results}
        again: list[_Waiting] = []
        for number, one in enumerate(batch, 1):
            problem = problems.get(number)
            if problem is None:
                if not one.answer.done():
                    one.answer.set_result(None)
            elif problem.get("status") == 503 and now < one.until:
                again.append(one)
            else:
                _fail([one], error_in(problem))
        if again:
            self._waiting.extendleft(reversed(again))
            await asyncio.sleep(_AGAIN_SECONDS)


def _fail(batch: Sequence[_Waiting], error: BaseException) -> None:
    for one in batch:
        if one.answer.done():
            continue
        if isinstance(error, LedgerError):
            # An error of its own for each: tracebacks are theirs.
            own = type(error).__new__(type(error))
            Exception.__init__(own, str(error))
            own.__dict__.update(error.__dict__)
            one.answer.set_exception(own)
        else:
            failed = LedgerError(f"the batch could not be sent: {error!r}")
            one.answer.set_exception(failed)
