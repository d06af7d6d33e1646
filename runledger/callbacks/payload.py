"""The payload of a callback: the run's end, its metadata and its result, up to a size limit."""

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Self

from pydantic_core import to_json

from runledger.api_messages import RequestConfig, spoken_calls, to_api_messages
from runledger.errors import InvalidArgument
from runledger.events import MessagesRecorded
from runledger.messages import Message
from runledger.records import RunUsage, run_usage
from runledger.run import Run
from runledger.store import Store

_WINDOW: Final = 16
"""Events read at a time, from the last one backwards, so that a long run is not read completely."""


class Ended(NamedTuple):
    """The payload's values of a run, copied at one time, because the run goes on changing."""

    run_id: str
    version: int
    outcome: dict[str, Any]
    metadata: dict[str, Any]
    usage: RunUsage
    request_config: Mapping[str, Any] | None

    @classmethod
    def of(cls, run: Run) -> Self:
        """Copy the values from a run."""
        outcome = {
            "run_id": run.run_id,
            "status": run.status.value,
            "completed_at": run.completed_at,
            "stop_reason": run.stop_reason,
        }
        config = run.request_config
        return cls(run.run_id, run.version, outcome, dict(run.metadata), run_usage(run), config)


def thin_payload(ended: Ended) -> bytes:
    """Return run_id, status, completed_at and stop_reason; the receiver requests the rest."""
    return to_json(ended.outcome)


def full_payload(ended: Ended, store: Store, agent_type: str | None, limit: int) -> bytes:
    """Return the outcome, metadata, and metadata.result with messages, stop reason and usage.

    Above `limit` bytes the oldest messages are left out, then the metadata; `truncated` says so.
    Blocks. Images stay references, because their bytes would make payloads too large.
    """
    result: dict[str, Any] = {
        "messages": [],
        "stop_reason": ended.outcome["stop_reason"]
        and {"message_type": "stop_reason", "stop_reason": ended.outcome["stop_reason"]},
        "usage": {
            "message_type": "usage_statistics",
            **ended.usage.model_dump(exclude={"run_id"}),
        },
    }
    body = {**ended.outcome, "metadata": {**ended.metadata, "result": result}}
    room = limit - len(to_json(body)) + 1  # every message except the first adds a comma
    stored, complete = _last_messages(ended, store, max(room, 0))
    shown = _shown(stored, ended, agent_type)
    kept: list[bytes] = []
    for message in reversed(shown):
        room -= len(message) + 1
        if room < 0:
            break
        kept.append(message)
    if complete and len(kept) == len(shown):
        result["messages"] = [json.loads(message) for message in reversed(kept)]
        return to_json(body)
    return _cut(body, result, kept, limit)


def _cut(body: dict[str, Any], result: dict[str, Any], kept: list[bytes], limit: int) -> bytes:
    truncated: dict[str, Any] = {"limit_bytes": limit, "messages": "the oldest are left out"}
    body = {"truncated": truncated, **body}
    while True:
        result["messages"] = [json.loads(message) for message in reversed(kept)]
        whole = to_json(body)
        if len(whole) <= limit or not kept:
            break
        kept.pop()
    if len(whole) > limit:
        truncated["metadata"] = "left out"
        truncated["messages"] = "left out"
        whole = to_json({**body, "metadata": {"result": result}})
    return whole


def _last_messages(ended: Ended, store: Store, enough: int) -> tuple[list[Message], bool]:
    """Return the last messages, about `enough` bytes of them, and whether these are all."""
    bodies: list[Message] = []
    upto, size = ended.version, 0
    while upto > 0 and size <= enough:
        after = max(upto - _WINDOW, 0)
        found = [
            body
            for row in store.read_stream(ended.run_id, after, upto)
            if isinstance(row.event, MessagesRecorded)
            for body in row.event.bodies
        ]
        size += sum(len(body.model_dump_json(exclude_none=True)) for body in found)
        bodies[:0] = found
        upto = after
    return bodies, upto == 0


def _shown(stored: list[Message], ended: Ended, agent_type: str | None) -> list[bytes]:
    try:
        config = RequestConfig.read(ended.request_config)
    except InvalidArgument:
        config = RequestConfig()
    spoken = frozenset(call for message in stored for call in spoken_calls(message, config))
    wanted = config.include_return_message_types
    return [
        to_json(api_message)
        for message in stored
        for api_message in to_api_messages(
            message,
            agent_type=agent_type,
            request_config=config,
            run_id=ended.run_id,
            spoken=spoken,
        )
        if not wanted or api_message.message_type in wanted
    ]
