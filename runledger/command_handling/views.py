"""Changes of the saved views of an organization, decided on all events of their stream."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from runledger.command_handling.decided_append import append_decided
from runledger.errors import InvalidArgument
from runledger.events import Event, ViewSaved
from runledger.run import Envelope
from runledger.run.views import fold_views, view_stream
from runledger.store import Store
from runledger.store.protocol import StoredEvent

MOST_VIEWS: Final = 1_000
"""Views of one organization."""
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

    def on_views(stored: Sequence[StoredEvent]) -> Event | None:
        views = fold_views(row.event for row in stored)
        event = decide(views)
        if isinstance(event, ViewSaved) and len(views) >= MOST_VIEWS and event.name not in views:
            raise InvalidArgument(f"views: expected {MOST_VIEWS:,} at most, found as many")
        return event

    await append_decided(store, view_stream(envelope.actor.organization), on_views)
