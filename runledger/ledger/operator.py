"""The operator of a ledger: replay, compare, switch, verify, publish, archive, price again."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

from runledger.ledger.copies import Copies
from runledger.ledger.opening import Opening
from runledger.ledger.part import LedgerPart
from runledger.ledger.replays import Replays
from runledger.ledger.repricing import Repricing
from runledger.run import Actor

if TYPE_CHECKING:
    from runledger.ledger.ledger import RunLedger


class Operator(Replays, Copies, Repricing):
    """All work is done online: projecting and answering go on, and no callback is sent.

    An open ledger has one as `ledger.operator`. `Operator.open` opens a separate one: it has the
    live read models open only while they are needed, or asks the process that has them open.

    Parameters:
        ledger: the open ledger whose operator this is.
    """

    def __init__(self, ledger: "RunLedger") -> None:
        super().__init__(ledger.part(LedgerPart).opened)
        self.ledger = ledger

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        url: str,
        read_models: str | Path,
        *,
        archive: str | Path | None = None,
        actor: Actor | None = None,
    ) -> AsyncIterator[Self]:
        """Open a ledger for an operator, without keeping the live read models open.

        Its `ledger` answers queries about single runs and queries `as_of`.

        Parameters:
            url: the store, as in RunLedger.open; it must exist.
            read_models: the file of the live read models, or the folder of a published copy.
            archive: the folder of an archive of the log, from which answers `as_of` begin.
            actor: acts if a call names no other.

        Returns:
            A context manager that yields the operator.

        Raises:
            StoreUnavailable: if the store does not exist.
        """
        # Imported here, because the module of RunLedger imports this one.
        from runledger.ledger.ledger import RunLedger

        opening = Opening(
            url=url,
            read_models=read_models,
            archive=archive,
            actor=actor or Actor(),
            create=False,
            hold_live=False,
        )
        async with RunLedger(opening) as ledger:
            yield cls(ledger)
