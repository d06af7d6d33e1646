"""Batches: lines of JSON, neighbours of one run all or none, executed once by their key."""

import gzip
import json
import threading
import zlib
from typing import Any

import httpx
from running import RunningServer

from runledger.ids import derived_id

AT = "2026-01-01T00:00:00Z"


def _run(number: int) -> str:
    return derived_id("run", "batch", str(number))


def _send(
    server: RunningServer,
    *lines: Any,
    key: str | None = None,
    raw: bytes | None = None,
    **head: str,
) -> httpx.Response:
    body = raw if raw is not None else b"".join(json.dumps(one).encode() + b"\n" for one in lines)
    headers = {"Content-Type": "application/x-ndjson", **head}
    if key is not None:
        headers["Idempotency-Key"] = key
    with server.client() as client:
        return client.post("/api/v1/batches", content=body, headers=headers)


def _a_whole_run(number: int) -> list[dict[str, Any]]:
    run_id = _run(number)
    return [
        {"op": "create_run", "run_id": run_id, "agent_id": "agent-a", "metadata": {"n": number}},
        {"op": "start_run", "run_id": run_id},
        {
            "op": "record_step",
            "run_id": run_id,
            "provider": "openai",
            "facts": {"model": "m", "prompt_tokens": 3},
            "messages": [{"role": "user", "content": "hi"}],
        },
        {"op": "record_messages", "run_id": run_id, "messages": [{"role": "user", "content": "x"}]},
        {"op": "patch_metadata", "run_id": run_id, "patch": {"a": 1}, "remove": ["n"]},
        {"op": "record_heartbeat", "run_id": run_id},
        {"op": "complete_run", "run_id": run_id, "stop_reason": "end_turn"},
        {"op": "record_run_feedback", "run_id": run_id, "feedback": "positive"},
    ]


def test_a_run_is_told_in_one_append_and_once(server: RunningServer) -> None:
    lines = _a_whole_run(1)
    answer = _send(server, *lines, key="k")
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert [one["status"] for one in told["results"]] == ["recorded"] * len(lines)
    assert len({one["position"] for one in told["results"]}) == 1
    run = server.do(server.ledger.get_run_by_id(_run(1)))
    assert (run.status, run.metadata, run.feedback) == ("completed", {"a": 1}, "positive")
    (step,) = server.do(server.ledger.get_run_steps(_run(1)))
    assert (step.step_id, step.prompt_tokens) == (told["results"][2]["step_id"], 3)
    stored = server.do(server.ledger.get_stored_messages(_run(1)))
    assert [message.id for message in stored] == [
        *told["results"][2]["message_ids"],
        *told["results"][3]["message_ids"],
    ]
    head = server.ledger.store.head()
    again = _send(server, *lines, key="k")
    assert again.status_code == 200
    assert [one["status"] for one in again.json()["results"]] == ["unchanged"] * len(lines)
    assert [one["step_id"] for one in again.json()["results"]] == [
        one["step_id"] for one in told["results"]
    ]
    assert server.ledger.store.head() == head


def test_a_refused_line_refuses_its_neighbours_of_the_same_run_alone(
    server: RunningServer,
) -> None:
    answer = _send(
        server,
        {"op": "create_run", "run_id": _run(1), "agent_id": "agent-a"},
        {"op": "complete_run", "run_id": _run(1), "stop_reason": "nonsense"},
        {"op": "create_run", "run_id": _run(2), "agent_id": "agent-a"},
        {"op": "create_run", "run_id": _run(3), "agent_id": "agent-a"},
        {"op": "start_run", "run_id": _run(3), "wrong": 1},
        {"op": "nothing", "run_id": _run(4)},
        {"op": "start_run", "run_id": _run(5)},
    )
    assert answer.status_code == 422
    told = [(one["line"], one["status"]) for one in answer.json()["results"]]
    assert told == [
        (1, "refused"),
        (2, "refused"),
        (3, "recorded"),
        (4, "refused"),
        (5, "refused"),
        (6, "refused"),
        (7, "refused"),
    ]
    problems = [one["problem"] and one["problem"]["type"] for one in answer.json()["results"]]
    assert problems[6] == "urn:runledger:error:not-found"
    assert [run.run_id for run in server.do(server.ledger.list_runs())] == [_run(2)]


def test_a_line_that_is_no_json_refuses_the_batch(server: RunningServer) -> None:
    good = json.dumps({"op": "create_run", "run_id": _run(1), "agent_id": "agent-a"}).encode()
    for bad in (b"{", b"", b'{"a": 1, "a": 2}', b"NaN", b"\xff"):
        answer = _send(server, raw=good + b"\n" + bad + b"\n" + good)
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["line"] == 2
    assert server.ledger.store.head() == 0


def test_what_has_no_id_needs_a_key(server: RunningServer) -> None:
    create = {"op": "create_run", "agent_id": "agent-a"}
    assert _send(server, create).status_code == 422
    known = {"op": "create_run", "run_id": _run(1), "agent_id": "agent-a"}
    _send(server, known)
    step = {"op": "record_step", "run_id": _run(1)}
    said = {"op": "record_messages", "run_id": _run(1), "messages": [{"role": "user"}]}
    for line in (step, said):
        assert _send(server, line).status_code == 422
    made = {_send(server, create, key="k").json()["results"][0]["run_id"] for _ in range(2)}
    assert len(made) == 1


def test_a_key_with_other_content_is_refused(server: RunningServer) -> None:
    _send(server, {"op": "create_run", "run_id": _run(1), "agent_id": "agent-a"}, key="k")
    other = {"op": "create_run", "run_id": _run(1), "agent_id": "agent-a", "metadata": {"a": 1}}
    answer = _send(server, other, key="k")
    assert answer.status_code == 422
    (result,) = answer.json()["results"]
    assert result["problem"]["type"] == "urn:runledger:error:idempotency-key-reused"


def test_a_key_of_another_batch_is_refused_by_name(server: RunningServer) -> None:
    assert _send(server, *_a_whole_run(1), key="k").status_code == 200
    head = server.ledger.store.head()
    answer = _send(server, *_a_whole_run(2), key="k")
    assert answer.status_code == 422
    problems = [one["problem"] for one in answer.json()["results"]]
    assert {one["type"] for one in problems} == {"urn:runledger:error:idempotency-key-reused"}
    assert {(one["run_id"], one["holder"]) for one in problems} == {(_run(2), _run(1))}
    assert server.ledger.store.head() == head


def test_times_are_kept_and_are_told_for_all_of_an_append(server: RunningServer) -> None:
    lines = [
        {"op": "create_run", "run_id": _run(1), "agent_id": "agent-a", "at": AT},
        {"op": "complete_run", "run_id": _run(1), "at": "2026-01-01T00:00:05Z"},
    ]
    assert _send(server, *lines, key="k").status_code == 200
    run = server.do(server.ledger.get_run_by_id(_run(1)))
    assert run.run_ns == 5_000_000_000
    mixed = [
        {"op": "create_run", "run_id": _run(2), "agent_id": "agent-a", "at": AT},
        {"op": "start_run", "run_id": _run(2)},
    ]
    assert _send(server, *mixed).status_code == 422


def _gzip_of_newlines(size: int) -> bytes:
    """Return the beginning of a gzip stream that unpacks to so many bytes; it lacks its end.

    After a full flush every MiB packs to the same bytes, so that none but the first is packed here.
    """
    packer = zlib.compressobj(9, wbits=31)
    mib = b"\n" * (1 << 20)
    first = packer.compress(mib) + packer.flush(zlib.Z_FULL_FLUSH)
    again = packer.compress(mib) + packer.flush(zlib.Z_FULL_FLUSH)
    return first + again * ((size >> 20) - 1)


def test_gzip_is_unpacked_up_to_the_limit(server: RunningServer) -> None:
    line = json.dumps({"op": "create_run", "run_id": _run(1), "agent_id": "agent-a"}).encode()
    packed = {"Content-Encoding": "gzip"}
    assert _send(server, raw=gzip.compress(line), **packed).status_code == 200
    bomb = _gzip_of_newlines(1 << 30)
    assert len(bomb) < 2 << 20
    assert _send(server, raw=bomb, **packed).status_code == 413
    assert _send(server, raw=b"no gzip", **packed).status_code == 400
    assert _send(server, raw=gzip.compress(line)[:-9], **packed).status_code == 400


def test_ten_thousand_lines_are_taken_and_not_one_more(server: RunningServer) -> None:
    many = [{"op": "create_run", "run_id": _run(n), "agent_id": "agent-a"} for n in range(10_001)]
    assert _send(server, *many).status_code == 413
    answer = _send(server, *many[:2_000])
    assert answer.status_code == 200, answer.text[:300]
    assert server.do(server.ledger.list_runs(limit=1))


def test_two_clients_with_one_key_at_once_append_once(server: RunningServer) -> None:
    lines = [line for number in range(20) for line in _a_whole_run(number)]
    answers: list[int] = []

    def send() -> None:
        answers.append(_send(server, *lines, key="k").status_code)

    threads = [threading.Thread(target=send) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200, 200]
    head = server.ledger.store.head()
    assert _send(server, *lines, key="k").status_code == 200
    assert server.ledger.store.head() == head
    for number in range(20):
        assert len(server.do(server.ledger.get_run_steps(_run(number)))) == 1
        assert len(server.do(server.ledger.get_stored_messages(_run(number)))) == 2
