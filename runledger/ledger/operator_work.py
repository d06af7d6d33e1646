"""An operator's access to the live read models, in this process or in another one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from pathlib import Path

from projections.generations.generations import Generations
from projections.operator.operator import Operator, open_operator
from runledger.errors import ReadModelsError, ReadModelsMissing
from runledger.ledger.part import LedgerPart


class OperatorWork(LedgerPart):
    """Work on generations of the live read models, in whichever process they are open."""

    @property
    def _path(self) -> Path:
        if self.opened.path is None:
            raise ReadModelsMissing(
                "generations are of read models; open the ledger with read_models=PATH"
            )
        path = self.opened.path
        if path.is_dir():
            raise ReadModelsError(
                f"read models {str(path)!r}: expected the live file, found the folder of a "
                f"published copy; generations are of the live one"
            )
        return path

    @property
    def _generations(self) -> Generations:
        return Generations(self._path)

    def _operator(self) -> AbstractContextManager[Operator]:
        if self.opened.operations is not None:
            return nullcontext(self.opened.operations)
        return open_operator(self.opened.store, self._path)

    @asynccontextmanager
    async def _at_operator(self) -> AsyncIterator[Operator]:
        operator = self._operator()
        at = await asyncio.to_thread(operator.__enter__)
        try:
            yield at
        finally:
            await asyncio.to_thread(operator.__exit__, None, None, None)
