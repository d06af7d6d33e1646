"""The official client follows runs: what the list shows, whenever it is recorded, to the end."""

import json
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import letta_client
import pytest
from letta_client import Letta
from running import RunningServer
from sample import RICH

from runledger.server.limits import Limits

Start = Callable[..., RunningServer]


def _told(items: Iterable[Any]) -> list[dict[str, Any]]:
    return [json.loads(item.to_json(exclude_unset=False, use_api_names=True)) for item in items]


def _without_place(messages: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in one.items() if name != "seq_id"} for one in messages]


def test_the_stream_of_a_run_that_ended_is_its_list(sample: RunningServer) -> None:
    letta = sample.letta()
    for run in sample.do(sample.ledger.list_runs(limit=1000)):
        if run.status in ("created", "running"):
            continue
        *messages, stopped, usage = _told(letta.runs.messages.stream(run.run_id))
        listed = _told(letta.runs.messages.list(run.run_id))
        assert _without_place(messages) == _without_place(listed)
        assert stopped == {"message_type": "stop_reason", "stop_reason": run.stop_reason}
        assert (usage["message_type"], usage["total_tokens"]) == (
            "usage_statistics",
            run.total_tokens,
        )
        places = [message["seq_id"] for message in messages]
        assert places == sorted(set(places))


def test_it_goes_on_behind_any_message(sample: RunningServer) -> None:
    letta = sample.letta()
    whole = _told(letta.runs.messages.stream(RICH))
    for place, message in enumerate(whole[:-2]):
        rest = _told(letta.runs.messages.stream(RICH, starting_after=message["seq_id"]))
        assert rest == whole[place + 1 :]


def test_every_block_is_one_that_its_decoder_can_read(sample: RunningServer) -> None:
    with sample.client() as client:
        answer = client.post(f"/v1/runs/{RICH}/stream", json={})
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-store"
    blocks = answer.text.split("\n\n")
    assert blocks[-2:] == ["data: [DONE]", ""]
    for block in blocks[:-2]:
        assert block.startswith("data: {")
        assert "\n" not in block


def test_what_is_recorded_meanwhile_is_shown_at_once(server: RunningServer) -> None:
    run_id = server.do(server.ledger.create_run("agent-a", conversation_id="conv-1")).run_id
    seen: list[str] = []

    def follow() -> None:
        stream = server.letta().conversations.messages.stream("conv-1")
        seen.extend(getattr(item, "content", item.message_type) for item in stream)

    reader = threading.Thread(target=follow)
    reader.start()
    for text in ("one", "two"):
        server.do(server.ledger.record_messages(run_id, [{"role": "user", "content": text}]))
        deadline = time.monotonic() + 60
        while text not in seen and time.monotonic() < deadline:
            time.sleep(0.01)
        assert text in seen
    server.do(server.ledger.complete_run(run_id))
    reader.join(60)
    assert seen == ["one", "two", "stop_reason", "usage_statistics"]


def test_pings_come_where_they_are_asked_for(start: Start) -> None:
    server = start(limits=Limits(ping_seconds=0.05))
    run_id = server.do(server.ledger.create_run("agent-a")).run_id
    with server.letta().runs.messages.stream(run_id) as stream:
        ping = next(stream)
    assert (ping.message_type, ping.run_id) == ("ping", run_id)
    with (
        server.client() as client,
        client.stream("POST", f"/v1/runs/{run_id}/stream", json={"include_pings": False}) as answer,
    ):
        assert next(answer.iter_raw()) == b": \n\n"


def test_the_end_of_the_server_is_an_error_that_the_client_raises(server: RunningServer) -> None:
    run_id = server.do(server.ledger.create_run("agent-a")).run_id
    server.do(server.ledger.record_messages(run_id, [{"role": "user", "content": "one"}]))
    stream = server.letta().runs.messages.stream(run_id)
    assert next(stream).content == "one"  # type: ignore[union-attr]
    server.stop()
    with pytest.raises(letta_client.APIStatusError) as raised:
        next(stream)
    assert raised.value.body["error_type"] == "server_shutdown"  # type: ignore[index]


def test_a_run_that_is_deleted_meanwhile_is_an_error(server: RunningServer) -> None:
    run_id = server.do(server.ledger.create_run("agent-a")).run_id
    server.do(server.ledger.record_messages(run_id, [{"role": "user", "content": "one"}]))
    stream = server.letta().runs.messages.stream(run_id)
    next(stream)
    server.do(server.ledger.delete_run(run_id))
    with pytest.raises(letta_client.APIStatusError, match="deleted"):
        next(stream)


@pytest.mark.parametrize(
    ("error", "call"),
    [
        (letta_client.BadRequestError, lambda c: c.conversations.messages.stream("conv-1")),
        (letta_client.BadRequestError, lambda c: c.runs.messages.stream("run-1")),
        (
            letta_client.NotFoundError,
            lambda c: c.runs.messages.stream("run-00000000-0000-4000-8000-000000000000"),
        ),
        (
            letta_client.UnprocessableEntityError,
            lambda c: c.conversations.messages.stream("default"),
        ),
    ],
)
def test_an_error_comes_before_the_stream(
    server: RunningServer, error: Any, call: Callable[[Letta], Any]
) -> None:
    with pytest.raises(error):
        call(server.letta())


def test_a_stream_too_many_is_told_so_and_one_that_ends_makes_room(start: Start) -> None:
    server = start(limits=Limits(streams=2, ping_seconds=0.05))
    run_id = server.do(server.ledger.create_run("agent-a")).run_id
    letta = server.letta()
    first, second = (letta.runs.messages.stream(run_id) for _ in range(2))
    with pytest.raises(letta_client.InternalServerError):
        letta.runs.messages.stream(run_id)
    first.close()
    deadline = time.monotonic() + 60
    while server.services.streams.open == 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    letta.runs.messages.stream(run_id).close()
    second.close()
