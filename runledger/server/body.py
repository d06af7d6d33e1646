"""Reads the body of a request: its type, its size, its pace, and what it is packed in."""

import asyncio
import zlib
from collections.abc import Coroutine, Mapping
from typing import Any, Final, TypeVar

from starlette.types import Receive

from runledger.server.limits import Limits
from runledger.server.refusal import Refusal
from runledger.server.route import Route

_T = TypeVar("_T")
_PIECE: Final = 64 << 10
_GZIP: Final = 16 + zlib.MAX_WBITS


class ClientGone(Exception):
    """The client closed the connection; there is no one to answer."""


async def read_body(
    route: Route, headers: Mapping[str, str], receive: Receive, limits: Limits
) -> bytes:
    """Return the whole body, unpacked; empty if there is none.

    Raises Refusal: 415 for a type or packing that the route does not take, 413 for more than the
    limit (before or after unpacking), 408 for a body that takes too long, 400 for broken gzip.
    """
    if not route.takes:
        return b""
    length = headers.get("content-length", "")
    if length in ("", "0") and "transfer-encoding" not in headers:
        return b""
    most = route.most or (limits.batch if route.batch else limits.body)
    packed = _check_kind(route, headers)
    if length.isdecimal() and int(length) > most:
        raise _too_large(most)
    try:
        async with asyncio.timeout(limits.body_seconds):
            data = await _collect(receive, most)
    except TimeoutError:
        raise Refusal(
            408, f"body: expected all of it within {limits.body_seconds:g} s", close=True
        ) from None
    return _unpacked(data, most) if packed else data


async def until_gone(receive: Receive, work: Coroutine[Any, Any, _T]) -> _T:
    """Return what the work of a request without a body returns.

    Raises ClientGone, and cancels the work, if the client closes the connection before.
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_gone(receive))
    try:
        await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientGone
        return task.result()
    finally:
        task.cancel()
        gone.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _check_kind(route: Route, headers: Mapping[str, str]) -> bool:
    """Raise Refusal for a type that the route does not take; return whether it is packed."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in route.takes:
        # The rest is not read: it may be of any size.
        raise Refusal(
            415,
            f"content-type: expected {' or '.join(route.takes)}, found {kind!r:.80}",
            close=True,
        )
    packing = headers.get("content-encoding", "identity").strip().lower()
    if packing == "identity" or (packing == "gzip" and route.gzip):
        return packing == "gzip"
    expected = "gzip or none" if route.gzip else "none"
    raise Refusal(415, f"content-encoding: expected {expected}, found {packing!r:.80}", close=True)


async def _collect(receive: Receive, most: int) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while True:
        message: Any = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        piece: bytes = message.get("body", b"")
        size += len(piece)
        if size > most:
            raise _too_large(most)
        pieces.append(piece)
        if not message.get("more_body", False):
            return b"".join(pieces)


def _unpacked(data: bytes, most: int) -> bytes:
    made = bytearray()
    rest = data
    try:
        # One file may hold several members, one behind the other (RFC 1952, 2.2).
        while rest:
            unpacker = zlib.decompressobj(_GZIP)
            while rest and not unpacker.eof:
                made += unpacker.decompress(rest, min(_PIECE, most + 1 - len(made)))
                if len(made) > most:
                    raise _too_large(most)
                rest = unpacker.unconsumed_tail
            if not unpacker.eof:
                raise Refusal(400, "body: expected gzip data to its end, found a part of it")
            rest = unpacker.unused_data
    except zlib.error as e:
        raise Refusal(400, f"body: expected gzip data: {e}") from None
    return bytes(made)


def _too_large(most: int) -> Refusal:
    return Refusal(413, f"body: expected {most} bytes at most", close=True)
