"""The receiver of one server: its inbox, and the task that makes runs of what is in it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from runledger.errors import OnlyRead
from runledger.importers.otlp.assembly import Assembler, Waiting
from runledger.inbox.inbox import Inbox
from runledger.server.app import Application
from runledger.server.otlp.traces import routes


@asynccontextmanager
async def receiving(
    application: Application, waiting: Waiting | None = None
) -> AsyncIterator[None]:
    """Receive spans for the block; the application gets the routes.

    application: is not served yet.
    waiting: how long traces wait; see Waiting.
    """
    ledger = application.services.ledger
    try:
        table = await asyncio.to_thread(lambda: ledger.store.spans)
    except OnlyRead:
        # An archive can be served, and takes no spans.
        yield
        return
    inbox = Inbox(table)
    application.add_routes(routes(inbox))
    stopping = asyncio.Event()
    assembling = asyncio.create_task(
        Assembler(ledger.store, ledger.handler, waiting).run(stopping), name="otel-assembler"
    )
    try:
        yield
    finally:
        stopping.set()
        await assembling
        await asyncio.to_thread(inbox.close)
