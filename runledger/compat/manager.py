"""The common part of the managers: the ledger, and the ledger's errors with their old names."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from runledger.compat.default_ledger import default_ledger
from runledger.compat.errors import translated
from runledger.ledger import RunLedger


class Manager:
    """Works on one open ledger, or on the process's default one."""

    def __init__(self, ledger: RunLedger | None = None) -> None:
        self._given = ledger

    @asynccontextmanager
    async def _ledger(self) -> AsyncIterator[RunLedger]:
        with translated():
            yield self._given or await default_ledger()
