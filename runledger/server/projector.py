"""Keeps the read models of a server close behind the log, and published copies behind them."""

import asyncio
import logging
from pathlib import Path
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


async def keep_publishing(ledger: RunLedger, folder: Path, seconds: float) -> None:
    """Publish a copy of the read models whenever the log has grown, until cancelled.

    Parameters:
        ledger: has live read models, else nothing is published.
        folder: is where the copies go; see Operator.publish.
        seconds: is the time between two copies.
    """
    position = -1
    while True:
        try:
            if (head := await asyncio.to_thread(ledger.store.head)) != position:
                await ledger.operator.publish(folder)
                position = head
        except ReadModelsMissing:
            return
        except LedgerError as e:
            _LOG.warning("the read models cannot be published at the moment: %s", e)
        await asyncio.sleep(seconds)
