"""SQL for callers: one process at a time, on a copy of the read models that is fresh enough."""

import asyncio
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from projections.generations.as_of import AsOfMoment
from projections.queries.sql_process import SqlAnswer, SqlKilled, SqlLimits, ask_in_process
from runledger.ledger import RunLedger
from runledger.ledger.read_model_copies import ReadModelCopies
from runledger.server.refusal import Refusal

FRESH_SECONDS: Final = 10.0
WAITING: Final = 4


@dataclass(frozen=True, slots=True)
class _Copy:
    file: Path
    position: int
    made_at: float


class SqlDesk:
    """Holds the last copy in a folder of its own, since SQL can tell the path of its database."""

    def __init__(self, ledger: RunLedger, limits: SqlLimits | None = None) -> None:
        self._ledger = ledger
        self._limits = limits or SqlLimits()
        self._folder: Path | None = None
        self._copy: _Copy | None = None
        self._copies = 0
        self._turn = asyncio.Lock()
        self._waiting = 0
        self.killed = 0

    async def ask(
        self, statement: str, *, seconds: float | None = None, as_of: AsOfMoment | None = None
    ) -> tuple[SqlAnswer, int]:
        """Return the answer of one SELECT and the position of the log that it is about.

        Raises Refusal with status 503 if too many wait, or the process had to be killed, and with
        501 on a system without such limits;
        InvalidArgument for a statement that is refused.
        """
        if sys.platform != "linux":
            # The limit on memory would not bind there, and one statement can take all of it.
            raise Refusal(501, f"sql: expected Linux, whose limits bind, found {sys.platform}")
        if self._waiting > WAITING:
            raise Refusal(503, f"{WAITING} statements wait already; try again")
        self._waiting += 1
        try:
            async with self._turn:
                copy = await self._fresh(as_of)
                try:
                    return await self._answer(copy, statement, seconds), copy.position
                finally:
                    if as_of is not None:
                        copy.file.unlink(missing_ok=True)
        finally:
            self._waiting -= 1

    async def _answer(self, copy: _Copy, statement: str, seconds: float | None) -> SqlAnswer:
        limits = self._limits
        if seconds is not None:
            limits = SqlLimits(seconds=min(seconds, limits.seconds))
        try:
            return await ask_in_process(copy.file, statement, limits)
        except SqlKilled as e:
            self.killed += 1
            raise Refusal(
                503, str(e), code="sql-killed", headers={"x-should-retry": "false"}
            ) from None

    async def _fresh(self, as_of: AsOfMoment | None) -> _Copy:
        kept = self._copy
        if as_of is None and kept and time.monotonic() - kept.made_at < FRESH_SECONDS:
            return kept
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="runledger-sql-"))
        self._copies += 1
        file = self._folder / f"{self._copies}.duckdb"
        begun = time.monotonic()
        part = self._ledger.part(ReadModelCopies)
        made = _Copy(file, await part.copy_read_models(file, as_of=as_of), begun)
        if as_of is None:
            self._copy = made
            if kept is not None:
                kept.file.unlink(missing_ok=True)
        return made

    def close(self) -> None:
        """Delete the copies."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
