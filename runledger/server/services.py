"""Shared by all requests: the ledger, the limits, and whether the server is about to stop."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from runledger.errors import LedgerError, ReadModelsMissing
from runledger.ledger import RunLedger
from runledger.run import Actor
from runledger.server.authentication import Authentication
from runledger.server.limits import Limits
from runledger.server.metrics import Metrics
from runledger.server.operation_desk import OperationDesk
from runledger.server.route import Route
from runledger.server.slots import RequestSlots, StreamSlots
from runledger.server.sql_desk import SqlDesk

MOST_BEHIND: Final = 100_000
"""Events that the read models of a server that is ready may be behind the log."""


@dataclass(slots=True)
class Services:
    """One for each process, made when its ledger is open.

    `actor` acts on a server without keys. `stopping` is set once at the signal to stop: streams end
    then. `operations_folder` is where long operations write, None for a server that does none.
    `routes` are all routes of the application; `described` is their description, once made.
    """

    ledger: RunLedger
    actor: Actor = field(default_factory=Actor)
    limits: Limits = field(default_factory=Limits)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    authentication: Authentication = field(init=False)
    streams: StreamSlots = field(init=False)
    requests: RequestSlots = field(init=False)
    sql: SqlDesk = field(init=False)
    operations_folder: Path | None = None
    operations: OperationDesk = field(init=False)
    routes: Iterable[Route] = ()
    described: dict[str, Any] | None = None
    metrics: Metrics = field(default_factory=Metrics)

    def __post_init__(self) -> None:
        self.authentication = Authentication(self.ledger.store, self.actor)
        self.streams = StreamSlots(self.limits)
        self.requests = RequestSlots(self.limits)
        self.sql = SqlDesk(self.ledger)
        self.operations = OperationDesk(self.ledger, self.operations_folder)

    async def close(self) -> None:
        """End what goes on, and delete what was made for requests."""
        await self.operations.close()
        self.sql.close()

    async def head(self) -> int:
        """Return the last position of the log."""
        return await asyncio.to_thread(self.ledger.store.head)

    async def unready(self) -> list[str]:
        """Return why no requests should be sent here; empty if they should."""
        if self.stopping.is_set():
            return ["the server is about to stop"]
        try:
            head = await self.head()
        except LedgerError:
            return ["the store does not answer"]
        try:
            behind = head - self.ledger.read_models.position
        except ReadModelsMissing:
            return []
        if self.ledger.read_models.follows and behind > MOST_BEHIND:
            return [f"the read models are {behind} events behind the log"]
        return []
