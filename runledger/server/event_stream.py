"""Server-sent events: how a block is written, and a stream that ends when the server does."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final, TypeVar

from starlette.responses import StreamingResponse

from runledger.server.route import EVENT_STREAM

COMMENT: Final = b": \n\n"
DONE: Final = b"data: [DONE]\n\n"
_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_T = TypeVar("_T")


class ServerStops(Exception):
    """The server was told to stop while a stream was open."""


def data(text: bytes) -> bytes:
    """Return a block of data alone; `text` is JSON on one line."""
    return b"data: " + text + b"\n\n"


def error(body: dict[str, object]) -> bytes:
    """Return a block that the official client raises as an error."""
    return b"event: error\n" + data(json.dumps(body).encode("ascii"))


def streamed(blocks: AsyncIterator[bytes], media_type: str = EVENT_STREAM) -> StreamingResponse:
    """Return an answer of blocks, which proxies and browsers are told not to keep."""
    return StreamingResponse(blocks, headers=_HEADERS, media_type=media_type)


async def until_stopped(items: AsyncIterator[_T], stopping: asyncio.Event) -> AsyncIterator[_T]:
    """Yield what comes until it ends; raise ServerStops if the server is to stop before."""
    stop = asyncio.ensure_future(stopping.wait())
    following: asyncio.Future[_T] | None = None
    try:
        while True:
            following = asyncio.ensure_future(anext(items))
            await asyncio.wait((following, stop), return_when=asyncio.FIRST_COMPLETED)
            if not following.done():
                raise ServerStops
            try:
                item = following.result()
            except StopAsyncIteration:
                return
            yield item
    finally:
        stop.cancel()
        closing = asyncio.ensure_future(_close(items, following))
        _CLOSING.add(closing)
        closing.add_done_callback(_CLOSING.discard)
        # If a client goes away, its answer is cancelled again and again until it has ended, and so
        # is every wait in here. The closing goes on by itself.
        await asyncio.shield(closing)


async def _close(items: AsyncIterator[_T], following: asyncio.Future[_T] | None) -> None:
    """End what waits for the next item, then the items: a generator that runs cannot be closed."""
    if following is not None:
        # It holds a place among what waits for the log; its end gives that back.
        following.cancel()
        await asyncio.wait((following,))
        if not following.cancelled():
            following.exception()
    if isinstance(items, AsyncGenerator):
        await items.aclose()


_CLOSING: Final[set[asyncio.Future[None]]] = set()
"""The loop itself keeps no task alive."""
