"""The receiver keeps what OTLP says it owes: each span once, the right status, never a 500."""

import gzip
import json
import random
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import psycopg
import pytest
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData
from running import RunningServer

from runledger.server.keys import Keyring
from runledger.store.postgres.address import parse

JSON = "application/json"
PROTOBUF = "application/x-protobuf"
BEGIN = 1_767_600_000_000_000_000


def span(number: int, parent: int = 0, trace: int = 7, **attributes: Any) -> dict[str, Any]:
    def value(one: Any) -> dict[str, Any]:
        return {"intValue": str(one)} if isinstance(one, int) else {"stringValue": one}

    return {
        "traceId": f"{trace:032x}",
        "spanId": f"{number:016x}",
        "parentSpanId": f"{parent:016x}" if parent else "",
        "name": f"span {number}",
        "startTimeUnixNano": str(BEGIN + number),
        "endTimeUnixNano": str(BEGIN + 1_000_000_000),
        "attributes": [
            {"key": key.replace("__", "."), "value": value(one)} for key, one in attributes.items()
        ],
    }


def agent(number: int, parent: int = 0, **more: Any) -> dict[str, Any]:
    operation: dict[str, Any] = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "a"}
    return span(number, parent, **{**operation, **more})


def chat(number: int, parent: int, tokens: int, **more: Any) -> dict[str, Any]:
    used: dict[str, Any] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.agent.name": "a",
        "gen_ai.usage.input_tokens": tokens,
        "gen_ai.usage.output_tokens": 1,
    }
    return span(number, parent, **{**used, **more})


def request(*spans: dict[str, Any]) -> dict[str, Any]:
    return {"resourceSpans": [{"scopeSpans": [{"spans": list(spans)}]}]}


def post(
    server: RunningServer, body: Any, kind: str = JSON, path: str = "/v1/traces", **headers: str
) -> Any:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    with server.client() as client:
        return client.post(
            path,
            content=content,
            headers={"content-type": kind, **{k.replace("_", "-"): v for k, v in headers.items()}},
        )


def protobuf(document: dict[str, Any]) -> bytes:
    import base64

    def encoded(given: Any) -> Any:
        if isinstance(given, list):
            return [encoded(one) for one in given]
        if not isinstance(given, dict):
            return given
        return {
            key: base64.b64encode(bytes.fromhex(one)).decode()
            if key in ("traceId", "spanId", "parentSpanId")
            else encoded(one)
            for key, one in given.items()
        }

    return ParseDict(encoded(document), TracesData()).SerializeToString()


def runs(server: RunningServer, wanted: Callable[[list[Any]], bool]) -> list[Any]:
    """The runs of the server as soon as they are as wanted; as they are after two minutes."""
    end = time.monotonic() + 120
    while True:
        with server.client() as client:
            found = client.get("/v1/runs/").json()
        if wanted(found) or time.monotonic() > end:
            return list(found)
        time.sleep(0.1)


def steps(server: RunningServer, run_id: str) -> list[Any]:
    with server.client() as client:
        return list(client.get(f"/v1/runs/{run_id}/steps").json())


def expect_tokens(server: RunningServer, wanted: list[int], *run_ids: str) -> None:
    """Wait until the steps of runs have these tokens; fail if they have not after two minutes.

    A run may be completed before a span that came late is a step of it.
    """
    end = time.monotonic() + 120
    while True:
        seen = [step for run_id in run_ids for step in steps(server, run_id)]
        found = sorted(step["prompt_tokens"] for step in seen)
        if found == wanted or time.monotonic() > end:
            assert found == wanted
            return
        time.sleep(0.1)


def done(found: list[Any]) -> bool:
    return bool(found) and all(run["status"] == "completed" for run in found)


def test_spans_in_pieces_twice_and_shuffled_are_one_run(server: RunningServer) -> None:
    spans = [agent(1), *(chat(n, 1, 10) for n in range(2, 12)), chat(12, 2, 10)]
    pieces = [request(one) for one in spans] * 2
    random.Random(5).shuffle(pieces)
    for number, piece in enumerate(pieces):
        if number % 2:
            answer = post(server, gzip.compress(protobuf(piece)), PROTOBUF, content_encoding="gzip")
            assert (answer.status_code, answer.content) == (200, b"")
        else:
            answer = post(server, piece)
            assert (answer.status_code, answer.json()) == (200, {})
        assert answer.headers["content-type"] == (PROTOBUF if number % 2 else JSON)
    (run,) = runs(server, done)
    assert (run["status"], run["agent_id"]) == ("completed", "agent-a")
    # The call that two spans report is one step.
    expect_tokens(server, [10] * 10, run["id"])


def test_a_run_is_seen_before_its_own_span_has_come(server: RunningServer) -> None:
    assert post(server, request(chat(2, 1, 10))).status_code == 200
    (before,) = runs(server, bool)
    assert before["status"] == "running"
    post(server, request(agent(1), chat(3, 1, 5)))
    (after,) = runs(server, done)
    assert (after["id"], after["status"]) == (before["id"], "completed")
    expect_tokens(server, [5, 10], after["id"])
    post(server, request(chat(4, 1, 7)))
    expect_tokens(server, [5, 7, 10], after["id"])


def test_a_part_that_was_shown_alone_stays_and_is_not_counted_again(server: RunningServer) -> None:
    # Of the part, the link to its agent comes last.
    assert post(server, request(chat(3, 2, 10))).status_code == 200
    (part,) = runs(server, bool)
    post(server, request(agent(1), chat(4, 1, 5), span(2, 1)))
    found = runs(server, lambda seen: len(seen) == 2 and done(seen))
    ids = [run["id"] for run in found]
    expect_tokens(server, [5, 10], *ids)
    (whole,) = [run for run in found if run["id"] != part["id"]]
    (shown,) = [run for run in found if run["id"] == part["id"]]
    assert shown["metadata"]["otel.part_of"] == whole["id"]


@pytest.mark.usefixtures("no_collection")
@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{", {"kind": JSON}, 400),
        (b"[1]", {"kind": JSON}, 400),
        (b"\xff\xfe", {"kind": JSON}, 400),
        (b"[" * 200_000, {"kind": JSON}, 400),
        (protobuf(request(agent(1)))[:-3], {"kind": PROTOBUF}, 400),
        (b"no gzip", {"kind": JSON, "content_encoding": "gzip"}, 400),
        (gzip.compress(b" " * (21 << 20)), {"kind": JSON, "content_encoding": "gzip"}, 413),
        (b"{}", {"kind": JSON, "content_encoding": "zstd"}, 415),
        (b"{}", {"kind": "text/plain"}, 415),
        (b"{}", {"kind": f"{JSON}; charset=utf-8", "path": "/v1/traces/"}, 200),
        (b"", {"kind": PROTOBUF}, 200),
        (b"{}", {"kind": JSON, "path": "/v1/logs"}, 200),
        (b"", {"kind": PROTOBUF, "path": "/v1/logs/"}, 200),
        (b"{", {"kind": JSON, "path": "/v1/logs"}, 400),
        (b"", {"kind": PROTOBUF, "path": "/v1/metrics"}, 404),
    ],
)
def test_what_cannot_be_read_is_answered_in_its_encoding(
    sample: RunningServer, body: bytes, headers: dict[str, str], status: int
) -> None:
    answer = post(sample, body, **headers)
    assert answer.status_code == status
    kind = headers["kind"].partition(";")[0]
    assert answer.headers["content-type"] == (kind if kind == JSON else PROTOBUF)
    if status >= 400:
        if kind == JSON:
            assert answer.json().keys() == {"code", "message"}
        else:
            assert answer.content.startswith(b"\x08")


def test_one_span_that_can_never_be_kept_takes_no_other_with_it(server: RunningServer) -> None:
    far = {**chat(3, 1, 5), "startTimeUnixNano": "0", "endTimeUnixNano": str(2**63 + 10**18)}
    many = chat(4, 1, 5, **{f"key.{n}": n for n in range(10_000)})
    long = chat(5, 1, 5, note="x" * 5_000_000)
    odd = chat(6, 1, 5)
    odd["attributes"] += [{"key": "a"}, {"value": {}}, 5, {"key": "b", "value": {"other": 1}}]
    deep: dict[str, Any] = {"stringValue": "x"}
    for _ in range(60):
        deep = {"arrayValue": {"values": [deep]}}
    odd["attributes"].append({"key": "deep", "value": deep})
    loud = agent(9, 1, gen_ai__agent__name="n" * 100_000, session__id="s" * 100_000)
    loud["name"] = "x" * 1_000_000
    loud["status"] = {"code": 2, "message": "m" * 1_000_000}
    zero, short = chat(0, 1, 5), {**chat(7, 1, 5), "traceId": "abc"}
    answer = post(server, request(agent(1), far, many, long, odd, loud, zero, short))
    assert answer.status_code == 200
    assert answer.json()["partialSuccess"]["rejectedSpans"] == "2"
    (run,) = runs(server, done)
    expect_tokens(server, [5, 5, 5, 5], run["id"])


def rename(store_url: str, old: str, new: str) -> None:
    if store_url.startswith("sqlite:"):
        with closing(sqlite3.connect(store_url.removeprefix("sqlite:///"))) as db:
            db.execute(f"ALTER TABLE {old} RENAME TO {new}")
        return
    address = parse(store_url)
    with psycopg.connect(**address.keywords, autocommit=True) as db:
        db.execute(f"ALTER TABLE {address.schema}.{old} RENAME TO {new}")


@pytest.mark.parametrize("kind", [JSON, PROTOBUF])
def test_what_cannot_be_kept_now_is_to_be_sent_again(
    server: RunningServer, store_url: str, kind: str
) -> None:
    document = request(agent(1), chat(2, 1, 5))
    body = protobuf(document) if kind == PROTOBUF else document
    rename(store_url, "ledger_spans", "hidden_spans")
    answer = post(server, body, kind)
    assert (answer.status_code, answer.headers["content-type"]) == (503, kind)
    assert 0 < int(answer.headers["retry-after"]) <= 5
    rename(store_url, "hidden_spans", "ledger_spans")
    assert post(server, body, kind).status_code == 200
    (run,) = runs(server, done)
    expect_tokens(server, [5], run["id"])


def test_a_key_is_asked_for_and_the_runs_are_its_organization_s(server: RunningServer) -> None:
    keyring = Keyring(server.ledger.store)
    made = keyring.create(name="loop", organization="acme", scopes=["runs:write", "runs:read"])
    other = keyring.create(name="other", organization="umbrella", scopes=["runs:read"])
    body = request(agent(1), chat(2, 1, 5))
    end = time.monotonic() + 120
    while (answer := post(server, body)).status_code == 200 and time.monotonic() < end:
        time.sleep(0.1)
    assert (answer.status_code, answer.json()["code"]) == (401, 16)
    assert post(server, body, authorization=f"Bearer {other.text}").status_code == 403
    assert post(server, body, authorization=f"Bearer {made.text}").status_code == 200
    found: dict[str, list[Any]] = {}
    while not found.get(made.text) and time.monotonic() < end:
        for key in (made.text, other.text):
            with server.client(headers={"authorization": f"Bearer {key}"}) as client:
                found[key] = client.get("/v1/runs/").json()
        time.sleep(0.1)
    assert [run["agent_id"] for run in found[made.text]] == ["agent-a"]
    assert found[other.text] == []
