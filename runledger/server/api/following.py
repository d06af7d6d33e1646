"""Following a run or the log: events as they are recorded, as server-sent events or lines of JSON.

Each follower holds a position and one page. It begins behind a position, so that a follower that
comes again sees each position once.
"""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from functools import partial
from typing import Annotated, Any, Final
from urllib.parse import quote, unquote

from pydantic import Field
from starlette.responses import Response

from runledger.errors import LedgerError, LogDiverged
from runledger.followed import run_diverged
from runledger.ledger.following import expect_followed
from runledger.ledger.named_view import condition
from runledger.records import RunRecord
from runledger.server import event_stream
from runledger.server.api.api_route import api_route
from runledger.server.call import Call
from runledger.server.problems import document, refusal_of
from runledger.server.refusal import Refusal
from runledger.server.route import EVENT_STREAM, NDJSON, Strict
from runledger.store.protocol import StoredEvent

_RETRY: Final = b"retry: 2000\n\n"
_END: Final = b"event: end\ndata: {}\n\n"
_LARGEST: Final = 2**63 - 1
Position = Annotated[int, Field(ge=0, le=_LARGEST)]
Written = Callable[[StoredEvent], bytes]


class FollowRun(Strict):
    """`after` is a position of the log; the event there must still be the one with the id `seen`.

    A `Last-Event-ID` goes before them.
    """

    after: Position | None = None
    seen: Annotated[str, Field(min_length=1, max_length=1_000)] | None = None
    contents: bool = False


class FollowLog(FollowRun):
    """`topics` are those of events, such as `run.completed`; none for all.

    `where` is a condition in the filter language, `view` the name of a saved one: only the events
    of runs that meet it when they are read.
    """

    topics: list[str] = Field(default_factory=list)
    where: str | None = None
    view: str | None = None


async def follow_run(call: Call[FollowRun, None]) -> Response:
    """Follow the events of a run, until it has ended."""
    run_id, (after, seen) = call.names["run_id"], _seen(call)
    after = after or 0
    run = await call.ledger.get_run_by_id(run_id, actor=call.actor)
    if after > (head := await call.services.head()):
        raise Refusal(400, f"expected a position up to {head}, found {after}")
    if run.completed_at is not None:
        last, event_id = await _last(call, run)
        if after >= last:
            if seen is not None and (last, event_id) != (after, seen):
                raise _diverged(run_id, after, seen)
            # A browser comes again for ever unless an answer says that there is nothing more.
            return Response(status_code=204)
    followed = call.ledger.follow_run(
        run_id,
        contents=call.query.contents,
        idle_seconds=call.services.limits.ping_seconds,
        actor=call.actor,
    )
    return _answer(call, _beyond(run_id, followed, after, seen))


async def follow_log(call: Call[FollowLog, None]) -> Response:
    """Follow the events of the organization in the order of the log, without an end."""
    after, seen = _seen(call)
    head = await call.services.head()
    if after is not None and after > head:
        raise Refusal(400, f"expected a position up to {head}, found {after}")
    where = await condition(call.ledger, call.query.view, call.query.where, call.actor)
    if where is not None:
        expect_followed(where, call.ledger.read_models)
    followed = call.ledger.follow_log(
        after=head if after is None else after,
        seen=seen,
        topics=call.query.topics,
        where=where,
        contents=call.query.contents,
        idle_seconds=call.services.limits.ping_seconds,
        actor=call.actor,
    )
    return _answer(call, followed)


async def _last(call: Call[Any, None], run: RunRecord) -> tuple[int, str]:
    """Return the position and the id of the last event of a run."""
    last = (0, "")
    followed = call.ledger.follow_run(
        run.run_id, after=run.version - 1, contents=False, actor=call.actor
    )
    async for stored in followed:
        last = last if stored is None else (stored.position, stored.event.event_id)
    return last


def _seen(call: Call[Any, None]) -> tuple[int | None, str | None]:
    """Return the position behind which to begin, and the id of the event that was seen there."""
    given = call.headers.get("last-event-id")
    if not given:
        return call.query.after, call.query.seen
    position, colon, event_id = given.partition(":")
    known = position.isascii() and position.isdecimal() and int(position[:20]) <= _LARGEST
    if not known or (colon and not event_id):
        raise Refusal(400, f"last-event-id: expected an id of this stream, found {given!r:.40}")
    return int(position), unquote(event_id) or None


async def _beyond(
    run_id: str, followed: AsyncIterator[StoredEvent | None], after: int, seen: str | None
) -> AsyncIterator[StoredEvent | None]:
    """Yield the events of a run behind a position, at which it must have the event `seen`."""
    missing = seen
    try:
        async for stored in followed:
            if stored is None or stored.position > after:
                if missing is not None:
                    raise _diverged(run_id, after, missing)
                yield stored
            elif stored.position == after and stored.event.event_id == seen:
                missing = None
    finally:
        if isinstance(followed, AsyncGenerator):
            await followed.aclose()


def _diverged(run_id: str, after: int, seen: str) -> LogDiverged:
    return run_diverged(run_id, f"event {seen:.80} at position {after}", "another or none")


def _answer(call: Call[Any, None], followed: AsyncIterator[StoredEvent | None]) -> Response:
    if NDJSON in call.headers.get("accept", ""):
        return event_stream.streamed(_lines(call, followed), NDJSON)
    return event_stream.streamed(_blocks(call, followed))


async def _blocks(
    call: Call[Any, None], followed: AsyncIterator[StoredEvent | None]
) -> AsyncIterator[bytes]:
    yield _RETRY
    try:
        async for stored in event_stream.until_stopped(followed, call.services.stopping):
            if stored is None:
                yield event_stream.COMMENT
            else:
                place = f"{stored.position}:{quote(stored.event.event_id, safe='')}"
                head = f"id: {place}\nevent: {stored.event.topic}\n".encode("ascii")
                yield head + event_stream.data(_written(stored, call.query.contents))
    except event_stream.ServerStops:
        # The connection ends, and a browser comes again by itself.
        return
    except LedgerError as e:
        yield event_stream.error(document(refusal_of(e), call.request_id))
        return
    yield _END


async def _lines(
    call: Call[Any, None], followed: AsyncIterator[StoredEvent | None]
) -> AsyncIterator[bytes]:
    try:
        async for stored in event_stream.until_stopped(followed, call.services.stopping):
            if stored is None:
                yield b"\n"
            else:
                yield _written(stored, call.query.contents) + b"\n"
    except event_stream.ServerStops:
        return
    except LedgerError as e:
        problem = document(refusal_of(e), call.request_id)
        yield json.dumps({"error": problem}).encode("ascii") + b"\n"


def _written(stored: StoredEvent, contents: bool) -> bytes:
    left_out = None if contents else set(stored.event.contents)
    event = stored.event.model_dump_json(exclude=left_out)
    head = json.dumps(
        {
            "position": stored.position,
            "stream": stored.stream,
            "version": stored.version,
            "topic": stored.event.topic,
        }
    )
    return f'{head[:-1]}, "event": {event}}}'.encode()


_route = partial(
    api_route,
    "GET",
    produces=(EVENT_STREAM, NDJSON),
    errors=(204, 400, 403, 404, 410, 422, 503),
    stream=True,
)


ROUTES: Final = (
    _route("runs/{run_id}/follow", follow_run, query=FollowRun),
    _route("log/follow", follow_log, query=FollowLog, scope="log:read"),
)
