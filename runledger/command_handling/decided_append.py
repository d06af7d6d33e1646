"""Appends one event to a stream, decided on all events that the stream has."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from runledger.errors import ConcurrentAppend
from runledger.events import Event
from runledger.store import Store
from runledger.store.codec import encode
from runledger.store.protocol import Conflicted, StoredEvent, StreamWrite

_ATTEMPTS: Final = 20
Decide = Callable[[Sequence[StoredEvent]], Event | None]
"""Returns the event that follows from those of the stream, None for none."""


async def append_decided(store: Store, stream: str, decide: Decide) -> bool:
    """Append the event that is decided; return whether there was one.

    If another writer is faster, the decision is made again, on its events too.

    store: the log. stream: the stream that is read and appended to. decide: may raise to refuse.

    Raises:
        ConcurrentAppend: if other writers were always faster.
    """
    for _ in range(_ATTEMPTS):
        stored = await asyncio.to_thread(store.read_stream, stream)
        event = decide(stored)
        if event is None:
            return False
        write = StreamWrite(stream, stored[-1].version if stored else 0, (encode(event),))
        (verdict,) = await asyncio.to_thread(store.append, [(write,)])
        if not isinstance(verdict, Conflicted):
            return True
    raise ConcurrentAppend(*verdict)
