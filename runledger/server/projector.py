"""Keeps the read models of a server close behind the log, also while no list is asked for."""

import asyncio
import logging
from typing import Final

from runledger.errors import LedgerError, ReadModelsMissing
from runledger.ledger import RunLedger

_LOG: Final = logging.getLogger("runledger.server")
_EVERY_SECONDS: Final = 1.0
_AGAIN_SECONDS: Final = 10.0


async def keep_projecting(ledger: RunLedger) -> None:
    """Project what is new, once a second, until cancelled; returns if nothing follows the log.

    An answer projects for itself what it needs. Without this a server whose log is written to by
    others would be behind for as long as the pause between two questions.
    """
    try:
        follows = ledger.read_models.follows
    except ReadModelsMissing:
        return
    while follows:
        pause = _EVERY_SECONDS
        try:
            if await asyncio.to_thread(ledger.store.head) > ledger.read_models.position:
                await ledger.project()
        except LedgerError as e:
            _LOG.warning("the read models cannot follow the log at the moment: %s", e)
            pause = _AGAIN_SECONDS
        await asyncio.sleep(pause)
