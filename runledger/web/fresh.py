"""Tells a list that is open in a browser how many runs came since; no row moves."""

from collections.abc import AsyncIterator
from typing import Annotated

from pydantic import Field
from starlette.responses import Response

from runledger.events import RunCreated
from runledger.server import event_stream
from runledger.server.call import Call
from runledger.server.route import Strict


class Since(Strict):
    """`after` is the position of the log that the list is about."""

    after: Annotated[int, Field(ge=0, le=2**63 - 1)]


async def follow(call: Call[Since, None]) -> Response:
    """Return server-sent events: each says the number of runs created since the position."""
    # Too many streams are refused while a status can still say so.
    with call.services.streams.hold(call.caller.key_id):
        pass
    return event_stream.streamed(_counts(call))


async def _counts(call: Call[Since, None]) -> AsyncIterator[bytes]:
    followed = call.ledger.follow_log(
        after=call.query.after,
        topics=[RunCreated.topic],
        contents=False,
        idle_seconds=call.services.limits.ping_seconds,
        actor=call.actor,
    )
    number = 0
    with call.services.streams.hold(call.caller.key_id):
        # The events are counted from the same position again by a browser that comes again.
        yield b"retry: 5000\n\n"
        try:
            async for stored in event_stream.until_stopped(followed, call.services.stopping):
                if stored is None:
                    yield event_stream.COMMENT
                else:
                    number += 1
                    yield event_stream.data(str(number).encode("ascii"))
        except event_stream.ServerStops:
            return
