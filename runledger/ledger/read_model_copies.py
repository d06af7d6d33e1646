"""Copies of the read models, as files for other processes."""

import asyncio
from pathlib import Path

from projections.generations.as_of import AsOfMoment
from runledger.ledger.part import LedgerPart


class ReadModelCopies(LedgerPart):
    """Copies are made online: projecting and answering go on meanwhile."""

    async def copy_read_models(self, file: Path, *, as_of: AsOfMoment | None = None) -> int:
        """Write the read models into a new file; return their position.

        Parameters:
            file: the file to write.
            as_of: a position of the log or a time with a zone; the present by default.

        Raises:
            ReadModelsMissing: if the ledger was opened without.
        """
        if as_of is not None:
            past = self.opened.answers_from_the_past()
            return await asyncio.to_thread(past.copy, file, as_of)
        return await asyncio.to_thread(self.opened.read_models.copy, file)
