"""The body that a receiver gets: the outcome as it is recorded, the result, and how it is cut."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest

from runledger.callbacks.payload import Ended, full_payload, thin_payload
from runledger.messages import Function, Message, ToolCall, ToolReturn
from runledger.run import Actor, commands
from tests.callbacks.conftest import BEGIN, Post, receiving, status

ENDED_AT = datetime(2026, 4, 30, 23, 0, tzinfo=UTC)


def message(number: int, role: str = "assistant", text: str = "hello") -> Message:
    return Message(id=f"message-00000000-0000-4000-8000-{number:012}", role=role, content=text)


def step(number: int, *messages: Message) -> commands.RecordStep:
    facts = {"provider_name": "openai", "prompt_tokens": 100, "completion_tokens": 7}
    step_id = f"step-00000000-0000-4000-8000-{number:012}"
    return commands.RecordStep(step_id, facts, messages)


def payload(store, clock, *given, limit=262_144, thin=False, config=None, metadata=None):
    """Return the payload of a run that was given these commands, and its size."""

    async def scenario():
        async with Post(store, clock) as post:
            run_id = await post.ended(None, *given)
            ended = Ended.of(await post.handler.load(Actor(), run_id))
            ended = ended._replace(request_config=config, metadata=metadata or ended.metadata)
            body = thin_payload(ended) if thin else full_payload(ended, store, None, limit)
            return json.loads(body), len(body)

    return asyncio.run(scenario())


def test_it_says_what_is_recorded_and_holds_the_result(store, clock):
    given = [
        step(1, message(1, "user", "hi"), message(2, text="naïve ✓")),
        commands.PatchMetadata({"job": 7, "result": "ours is put in its place"}),
        commands.CompleteRun("max_steps"),
    ]

    async def scenario():
        async with receiving(status(200)) as receiver, Post(store, clock) as post:
            run_id = await post.ended(receiver.url, *given)
            clock.advance(3600)
            await post.deliver()
            return run_id, json.loads(receiver.requests[0].body), receiver.requests[0].headers

    run_id, body, headers = asyncio.run(scenario())
    assert headers["content-type"] == "application/json"
    result = body["metadata"].pop("result")
    assert body == {
        "run_id": run_id,
        "status": "completed",
        "completed_at": "2026-05-01T00:00:00Z",  # the end's time, not that of sending
        "stop_reason": "max_steps",
        "metadata": {"job": 7},
    }
    assert BEGIN.isoformat()[:10] == "2026-05-01"
    assert [(m["message_type"], m["content"]) for m in result["messages"]] == [
        ("user_message", "hi"),
        ("assistant_message", "naïve ✓"),
    ]
    assert {m["run_id"] for m in result["messages"]} == {run_id}
    assert result["stop_reason"] == {"message_type": "stop_reason", "stop_reason": "max_steps"}
    usage = result["usage"]
    assert usage["message_type"] == "usage_statistics"
    counts = ("prompt_tokens", "completion_tokens", "total_tokens", "step_count")
    assert [usage[name] for name in counts] == [100, 7, 107, 1]
    assert usage["cached_input_tokens"] is None


def test_a_thin_payload_has_no_contents(local_store, clock):
    body, _ = payload(
        local_store, clock, step(1, message(1)), commands.FailRun("llm_api_error"), thin=True
    )
    assert body.keys() == {"run_id", "status", "completed_at", "stop_reason"}
    assert (body["status"], body["stop_reason"]) == ("failed", "llm_api_error")


def test_an_empty_run_has_an_empty_result(local_store, clock):
    body, _ = payload(local_store, clock, commands.CancelRun())
    assert body["metadata"]["result"]["messages"] == []
    assert body["metadata"]["result"]["usage"]["step_count"] == 0
    assert "truncated" not in body


@pytest.mark.parametrize("limit", [2_000, 5_000, 20_000, 80_000])
def test_above_the_limit_the_oldest_messages_are_left_out_and_it_says_so(local_store, clock, limit):
    given = [step(n, message(n, text=f"{n} " + "é" * 100)) for n in range(1, 200)]
    body, size = payload(local_store, clock, *given, commands.CompleteRun(), limit=limit)
    assert size <= limit
    assert size > limit - 700  # as many as there is room for
    assert body["truncated"] == {"limit_bytes": limit, "messages": "the oldest are left out"}
    shown = [int(m["content"].split()[0]) for m in body["metadata"]["result"]["messages"]]
    assert shown == list(range(200 - len(shown), 200))
    assert body["metadata"]["result"]["usage"]["step_count"] == 199


def test_everything_is_there_when_there_is_just_room(local_store, clock):
    given = [step(n, message(n)) for n in range(1, 40)] + [commands.CompleteRun()]
    whole, size = payload(local_store, clock, *given)
    assert len(whole["metadata"]["result"]["messages"]) == 39
    again, _ = payload(
        local_store,
        clock,
        *(step(n, message(n)) for n in range(41, 80)),
        commands.CompleteRun(),
        limit=size,
    )
    assert "truncated" not in again
    short, _ = payload(
        local_store,
        clock,
        *(step(n, message(n)) for n in range(81, 120)),
        commands.CompleteRun(),
        limit=size - 1,
    )
    assert short["truncated"]["limit_bytes"] == size - 1


def test_a_message_larger_than_the_limit_is_left_out(local_store, clock):
    given = [step(1, message(1, text="x" * 50_000)), commands.CompleteRun()]
    body, size = payload(local_store, clock, *given, limit=10_000)
    assert size < 2_000
    assert body["metadata"]["result"]["messages"] == []
    assert body["truncated"]["messages"] == "the oldest are left out"


def test_metadata_larger_than_the_limit_is_left_out(local_store, clock):
    given = [step(1, message(1)), commands.CompleteRun()]
    metadata = {"notes": "x" * 50_000}
    body, size = payload(local_store, clock, *given, limit=10_000, metadata=metadata)
    assert size < 2_000
    assert body["metadata"].keys() == {"result"}
    assert body["truncated"]["metadata"] == "left out"
    assert body["status"] == "completed"


def test_the_request_config_shapes_the_messages_and_a_broken_one_does_not_lose_the_callback(
    local_store, clock
):
    call = ToolCall(id="c1", function=Function(name="send_message", arguments='{"message": "m"}'))
    said = Message(id=message(1).id, role="assistant", tool_calls=[call])
    back = ToolReturn(tool_call_id="c1", status="success", func_response="ok")
    returned = Message(id=message(2).id, role="tool", tool_returns=[back])

    def types(config, *ids):
        made = [
            m.model_copy(update={"id": message(n).id})
            for m, n in zip((said, returned), ids, strict=True)
        ]
        body, _ = payload(
            local_store, clock, step(ids[0], *made), commands.CompleteRun(), config=config
        )
        return [m["message_type"] for m in body["metadata"]["result"]["messages"]]

    assert types(None, 1, 2) == ["assistant_message"]
    assert types({"use_assistant_message": False}, 3, 4) == [
        "tool_call_message",
        "tool_return_message",
    ]
    wanted = {"use_assistant_message": False, "include_return_message_types": ["tool_call_message"]}
    assert types(wanted, 5, 6) == ["tool_call_message"]
    assert types({"include_return_message_types": 7}, 7, 8) == ["assistant_message"]


def test_a_long_run_is_not_read_whole_to_be_cut(local_store, clock, monkeypatch):
    read = []
    original = local_store.read_stream

    def counting(stream, after=0, upto=None, contents=True):
        if contents and stream.startswith("run-"):
            read.append(upto - after)
        return original(stream, after, upto, contents)

    given = [step(n, message(n, text="x" * 500)) for n in range(1, 500)]
    monkeypatch.setattr(local_store, "read_stream", counting)
    payload(local_store, clock, *given, commands.CompleteRun(), limit=10_000)
    assert 0 < sum(read) < 100


def test_times_of_an_imported_end_are_the_imported_ones(local_store, clock):
    async def scenario():
        async with receiving(status(200)) as receiver, Post(local_store, clock) as post:
            run_id = await post.ended(receiver.url, commands.CompleteRun("requires_approval"))
            await post.execute(run_id, commands.CancelRun())
            await post.deliver()
            return json.loads(receiver.requests[0].body), post.attempts(run_id)

    body, attempts = asyncio.run(scenario())
    assert (body["status"], body["stop_reason"]) == ("cancelled", "cancelled")
    assert body["completed_at"] == "2026-05-01T00:00:00Z"
    assert len(attempts) == 1
    assert attempts[0].occurred_at - BEGIN < timedelta(seconds=1)
