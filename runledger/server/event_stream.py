"""Server-sent events: how a block is written, and a stream that ends when the server does."""

import asyncio
import json
from collections.abc import AsyncIterator
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
        if following is not None and not following.done():
            # It holds a place among what waits for the log; its end gives that back.
            following.cancel()
            await asyncio.wait((following,))
