"""Changes of the saved views of an organization, decided on all events of their stream."""

import asyncio
from collections.abc import Callable
from typing import Final

from runledger.errors import ConcurrentAppend, InvalidArgument
from runledger.events import Event, ViewSaved
from runledger.run import Envelope
from runledger.run.views import fold_views, view_stream
from runledger.store import Store
from runledger.store.codec import encode
from runledger.store.protocol import Conflicted, StreamWrite

MOST_VIEWS: Final = 1_000
"""Views of one organization."""
_ATTEMPTS: Final = 20
Decide = Callable[[dict[str, ViewSaved]], Event | None]
"""Returns the event that follows from the present views, None for none."""


async def read_views(store: Store, organization: str) -> dict[str, ViewSaved]:
    """Return the views of an organization by their names."""
    stored = await asyncio.to_thread(store.read_stream, view_stream(organization))
    return fold_views(row.event for row in stored)


async def change_views(store: Store, envelope: Envelope, decide: Decide) -> None:
    """Append the event that is decided, if there is one.

    Raises:
        InvalidArgument: if the organization would have too many views.
        ConcurrentAppend: if other writers were always faster.
    """
    stream = view_stream(envelope.actor.organization)
    for _ in range(_ATTEMPTS):
        stored = await asyncio.to_thread(store.read_stream, stream)
        views = fold_views(row.event for row in stored)
        event = decide(views)
        if event is None:
            return
        if isinstance(event, ViewSaved) and len(views) >= MOST_VIEWS and event.name not in views:
            raise InvalidArgument(f"views: expected {MOST_VIEWS:,} at most, found as many")
        write = StreamWrite(stream, stored[-1].version if stored else 0, (encode(event),))
        (verdict,) = await asyncio.to_thread(store.append, [(write,)])
        if not isinstance(verdict, Conflicted):
            return
    raise ConcurrentAppend(*verdict)
