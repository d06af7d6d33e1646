"""Following a run and the log: each position once, whatever breaks."""

import asyncio
import gc
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from running import RunningServer

from runledger import Actor
from runledger.server.keys import Keyring
from runledger.server.limits import Limits

Start = Callable[..., RunningServer]


def _events(lines: Iterator[str]) -> Iterator[dict[str, str]]:
    """Yield server-sent events, as a browser reads them."""
    event: dict[str, str] = {}
    for line in lines:
        if not line:
            if event:
                yield event
            event = {}
        elif not line.startswith(":"):
            name, _, value = line.partition(": ")
            event[name] = value


def _ended_run(server: RunningServer) -> str:
    run_id = server.do(server.ledger.create_run("agent-a")).run_id
    server.do(server.ledger.record_messages(run_id, [{"role": "user", "content": "secret"}]))
    server.do(server.ledger.complete_run(run_id))
    return run_id


def test_the_log_is_followed_for_runs_that_meet_a_condition(server: RunningServer) -> None:
    do, ledger = server.do, server.ledger
    do(ledger.save_view("red", "metadata.team = 'red'"))
    red = do(ledger.create_run("agent-a", metadata={"team": "red"})).run_id
    do(ledger.create_run("agent-a"))
    do(ledger.complete_run(red))
    asked = {"after": 0, "view": "red", "where": "status = 'completed'"}
    lines = {"Accept": "application/x-ndjson"}
    with server.client() as client:
        with client.stream("GET", "/api/v1/log/follow", params=asked, headers=lines) as answer:
            events = (json.loads(line) for line in answer.iter_lines() if line)
            found = [next(events) for _ in range(2)]
        assert [one["stream"] for one in found] == [red, red]
        for wrong in ({"where": "statsu = 'x'"}, {"where": "percentile(duration) >= 5"}):
            assert client.get("/api/v1/log/follow", params=wrong).status_code == 422
        assert client.get("/api/v1/log/follow", params={"view": "none"}).status_code == 404


def test_a_run_is_followed_to_its_end_and_then_no_more(server: RunningServer) -> None:
    run_id = _ended_run(server)
    stored = server.ledger.store.read_stream(run_id)
    with server.client() as client:
        answer = client.get(f"/api/v1/runs/{run_id}/follow")
        assert answer.text.startswith("retry: 2000\n\n")
        found = list(_events(iter(answer.text.splitlines())))[1:]
        assert [one["event"] for one in found] == [*(row.event.topic for row in stored), "end"]
        assert [int(one["id"].partition(":")[0]) for one in found[:-1]] == [
            row.position for row in stored
        ]
        assert "secret" not in answer.text
        assert json.loads(found[0]["data"])["event"]["agent_id"] == "agent-a"
        whole = client.get(f"/api/v1/runs/{run_id}/follow", params={"contents": True})
        assert "secret" in whole.text
        last = {"Last-Event-ID": str(stored[0].position)}
        rest = client.get(f"/api/v1/runs/{run_id}/follow", headers=last)
        assert list(_events(iter(rest.text.splitlines())))[1:] == found[1:]
        behind = {"Last-Event-ID": str(stored[-1].position)}
        assert client.get(f"/api/v1/runs/{run_id}/follow", headers=behind).status_code == 204


def test_an_event_that_was_seen_must_still_be_there(server: RunningServer) -> None:
    ended = _ended_run(server)
    going = server.do(server.ledger.create_run("agent-a")).run_id
    server.do(server.ledger.record_step(going, provider="openai", model="m"))
    stored = server.ledger.store.read_stream(ended)
    lines = {"Accept": "application/x-ndjson"}
    with server.client() as client:
        for path, row in (
            (f"runs/{ended}/follow", stored[0]),
            (f"runs/{going}/follow", server.ledger.store.read_stream(going)[0]),
            ("log/follow", stored[0]),
        ):
            for seen in (row.event.event_id, "another"):
                asked = {"after": row.position, "seen": seen}
                with client.stream("GET", f"/api/v1/{path}", params=asked, headers=lines) as answer:
                    first = json.loads(next(one for one in answer.iter_lines() if one))
                assert ("error" in first) == (seen == "another")
                place = {"Last-Event-ID": f"{row.position}:{seen}"}
                with client.stream("GET", f"/api/v1/{path}", headers=place) as answer:
                    events = _events(answer.iter_lines())
                    assert next(events) == {"retry": "2000"}
                    assert (next(events)["event"] == "error") == (seen == "another")
        last = {"Last-Event-ID": f"{stored[-1].position}:another"}
        gone = client.get(f"/api/v1/runs/{ended}/follow", headers=last)
        assert gone.status_code == 410
        assert "failover" in gone.text


def test_lines_of_json_are_the_same(server: RunningServer) -> None:
    run_id = _ended_run(server)
    with server.client() as client:
        answer = client.get(
            f"/api/v1/runs/{run_id}/follow", headers={"Accept": "application/x-ndjson"}
        )
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    found = [json.loads(line) for line in answer.text.splitlines()]
    stored = server.ledger.store.read_stream(run_id)
    assert [(one["position"], one["version"], one["topic"]) for one in found] == [
        (row.position, row.version, row.event.topic) for row in stored
    ]


def test_the_log_is_followed_from_now_on_and_by_topic(server: RunningServer) -> None:
    _ended_run(server)
    with (
        server.client() as client,
        client.stream("GET", "/api/v1/log/follow", params={"topics": "run.created"}) as answer,
    ):
        events = _events(answer.iter_lines())
        assert next(events) == {"retry": "2000"}
        _ended_run(server)
        assert next(events)["event"] == "run.created"


def test_a_follower_sees_each_position_once_over_restarts(start: Start, tmp_path: Any) -> None:
    seen: list[int] = []
    for _ in range(3):
        server = start()
        server.do(server.ledger.create_run("agent-a"))
        with (
            server.client() as client,
            client.stream(
                "GET",
                "/api/v1/log/follow",
                params={"after": seen[-1] if seen else 0},
                headers={"Accept": "application/x-ndjson"},
            ) as answer,
        ):
            lines = answer.iter_lines()
            head = server.ledger.store.head()
            while not seen or seen[-1] < head:
                line = next(lines)
                if line:
                    seen.append(json.loads(line)["position"])
        server.do(server.ledger.create_run("agent-b"))
        server.stop()
    assert seen == sorted(set(seen))
    assert len(seen) >= 6


@pytest.mark.parametrize("given", ["-1", "1e99", "99999", "x", "\u0661", "9" * 30])
def test_a_position_that_is_none_is_refused(server: RunningServer, given: str) -> None:
    run_id = _ended_run(server)
    with server.client() as client:
        for path in (f"/api/v1/runs/{run_id}/follow", "/api/v1/log/follow"):
            last = {"Last-Event-ID": given.encode()}
            answer = client.get(path, headers=last)  # type: ignore[arg-type]
            assert answer.status_code == 400, path
            query = client.get(path, params={"after": given})
            assert query.status_code in (400, 422)


def test_only_the_own_organization_is_followed(server: RunningServer) -> None:
    made = Keyring(server.ledger.store).create(name="me", organization="org-mine")
    theirs = server.do(server.ledger.create_run("agent-x", actor=Actor("org-theirs"))).run_id
    server.do(server.ledger.create_run("agent-mine", actor=Actor("org-mine")))
    headers = {"Authorization": f"Bearer {made.text}", "Accept": "application/x-ndjson"}
    with server.client(headers=headers) as client:
        assert client.get(f"/api/v1/runs/{theirs}/follow").status_code == 404
        with client.stream("GET", "/api/v1/log/follow", params={"after": 0}) as answer:
            first = json.loads(next(answer.iter_lines()))
    assert "theirs" not in json.dumps(first)
    assert first["event"]["organization"] == "org-mine"


def test_many_idle_followers_cost_little_and_leave_nothing(start: Start) -> None:
    server = start(limits=Limits(streams=201))
    threads = threading.active_count()
    with httpx.Client(
        base_url=server.url,
        trust_env=False,
        timeout=120,
        limits=httpx.Limits(max_connections=300),
    ) as client:
        answers = [
            client.send(client.build_request("GET", "/api/v1/log/follow"), stream=True)
            for _ in range(200)
        ]
        server.do(server.ledger.create_run("agent-a"))
        for answer in answers:
            lines = answer.iter_lines()
            assert any(line.startswith("event: ") for line in lines)
        assert client.get("/v1/health/").status_code == 200
        for answer in answers:
            answer.close()
    deadline = time.monotonic() + 60
    while server.services.streams.open and time.monotonic() < deadline:
        time.sleep(0.05)
    assert server.services.streams.open == 0
    assert threading.active_count() <= threads + 40


def test_followers_that_go_away_while_events_come_are_closed_in_order(start: Start) -> None:
    server = start(read_models=None)
    told: list[dict[str, Any]] = []
    server.loop.call_soon_threadsafe(
        server.loop.set_exception_handler, lambda _, context: told.append(context)
    )
    run_id = server.do(server.ledger.create_run("agent-a")).run_id
    head = b"GET /api/v1/log/follow HTTP/1.1\r\nHost: localhost:%d\r\n\r\n" % server.port
    for _ in range(4):
        connections = []
        for _ in range(25):
            connection = socket.create_connection(("127.0.0.1", server.port), timeout=60)
            connection.sendall(head)
            assert connection.recv(16)
            connections.append(connection)
        for connection in connections:
            server.do(server.ledger.record_heartbeat(run_id))
            connection.close()
        _await_no_streams(server)

    async def collected() -> None:
        gc.collect()
        # What closes generators that were left has its turn.
        for _ in range(10):
            await asyncio.sleep(0)

    server.do(collected())
    assert told == []


def _await_no_streams(server: RunningServer) -> None:
    end = time.monotonic() + 120
    while server.services.streams.open:
        assert time.monotonic() < end, f"{server.services.streams.open} streams are open"
        time.sleep(0.01)
