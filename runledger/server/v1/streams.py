"""Runs as streams, for the official client: what the list shows, as it is recorded.

Its decoder has traps. It drops every event with a name but `error`; it cannot read a block without
data after an `id`, nor one of `retry` alone. So each block is data, a comment, or an error.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Final, Literal

from starlette.responses import Response

from runledger.compat.enums import StopReasonType
from runledger.compat.records import usage_of
from runledger.compat.schemas import LettaStopReason
from runledger.errors import LedgerError, NotFound
from runledger.ids import check_id, new_id
from runledger.records import RunRecord
from runledger.server import event_stream
from runledger.server.call import Call
from runledger.server.problems import refusal_of
from runledger.server.refusal import Refusal
from runledger.server.route import EVENT_STREAM, Lenient, Route
from runledger.server.v1.shown_events import ShownEvents

_OPEN: Final[tuple[Literal["created"], Literal["running"]]] = ("created", "running")


class StreamRequest(Lenient):
    """`starting_after` is the seq_id of the last message that the client has."""

    run_id: str | None = None
    agent_id: str | None = None
    starting_after: int = 0
    include_pings: bool | None = True


StreamCall = Call[Lenient, StreamRequest]


async def stream_run(call: StreamCall) -> Response:
    """Show a run from its beginning or behind a message, and go on until it has ended."""
    return await _stream(call, call.names["run_id"])


async def stream_conversation(call: StreamCall) -> Response:
    """Show a run of a conversation: the one that is named, else the newest that is open."""
    run_id = call.body.run_id or await _newest_open(call)
    if run_id is None:
        raise Refusal(400, "No active runs found for this conversation.")
    return await _stream(call, run_id)


async def _newest_open(call: StreamCall) -> str | None:
    named = call.names["conversation_id"]
    if named == "default" or named.startswith("agent-"):
        agent_id = call.body.agent_id if named == "default" else named
        if agent_id is None:
            raise Refusal(422, "agent_id: expected the agent that `default` is about")
        check_id("agent", agent_id)
        runs = await call.ledger.list_runs(
            agent_ids=[agent_id], statuses=_OPEN, limit=1000, actor=call.actor
        )
        runs = [run for run in runs if run.conversation_id is None]
    else:
        check_id("conversation", named)
        runs = await call.ledger.list_runs(
            conversation_id=named, statuses=_OPEN, limit=1, actor=call.actor
        )
    return runs[0].run_id if runs else None


async def _stream(call: StreamCall, run_id: str) -> Response:
    run = await call.ledger.get_run_by_id(run_id, actor=call.actor)
    try:
        agent_type = (await call.ledger.get_agent(run.agent_id, actor=call.actor)).agent_type
    except NotFound:
        agent_type = None
    shown = ShownEvents(run, agent_type, call.ledger.image_bytes)
    return event_stream.streamed(_blocks(call, run, shown))


async def _blocks(call: StreamCall, run: RunRecord, shown: ShownEvents) -> AsyncIterator[bytes]:
    run_id, services = run.run_id, call.services
    followed = call.ledger.follow_run(
        run_id, idle_seconds=services.limits.ping_seconds, actor=call.actor
    )
    try:
        async for stored in event_stream.until_stopped(followed, services.stopping):
            if stored is None:
                yield _ping(run_id) if call.body.include_pings else event_stream.COMMENT
                continue
            for message in await asyncio.to_thread(shown.show, stored, call.body.starting_after):
                yield event_stream.data(message.model_dump_json().encode("utf-8"))
        async for block in _end(call, run_id):
            yield block
    except event_stream.ServerStops:
        yield _error(run_id, "server_shutdown", "the server stops; ask again behind the last one")
    except NotFound:
        yield _error(run_id, "not_found", f"run with id {run_id} was deleted")
    except LedgerError as e:
        yield _error(run_id, "internal_error", refusal_of(e).detail)


async def _end(call: StreamCall, run_id: str) -> AsyncIterator[bytes]:
    run = await call.ledger.get_run_by_id(run_id, actor=call.actor)
    if run.stop_reason is not None:
        stopped = LettaStopReason(stop_reason=StopReasonType(run.stop_reason))
        yield event_stream.data(stopped.model_dump_json().encode("ascii"))
    usage = usage_of(await call.ledger.get_run_usage(run_id, actor=call.actor))
    usage.run_ids = [run_id]
    yield event_stream.data(usage.model_dump_json().encode("ascii"))
    yield event_stream.DONE


def _ping(run_id: str) -> bytes:
    date = datetime.now(UTC).isoformat()
    said = {"message_type": "ping", "id": new_id("message"), "date": date, "run_id": run_id}
    return event_stream.data(json.dumps(said).encode("ascii"))


def _error(run_id: str, kind: str, message: str) -> bytes:
    return event_stream.error(
        {
            "message_type": "error_message",
            "error_type": kind,
            "message": message,
            "run_id": run_id,
        }
    )


ROUTES: Final = (
    Route(
        "POST",
        "/v1/runs/{run_id}/stream",
        "runs_messages_stream",
        stream_run,
        body=StreamRequest,
        produces=(EVENT_STREAM,),
        errors=(400, 404, 422, 503),
        stream=True,
    ),
    Route(
        "POST",
        "/v1/conversations/{conversation_id}/stream",
        "conversations_messages_stream",
        stream_conversation,
        body=StreamRequest,
        produces=(EVENT_STREAM,),
        errors=(400, 404, 422, 501, 503),
        stream=True,
    ),
)
