"""Requests that are made to be read in two ways, to be too large, or never to end."""

import socket
import time
from collections.abc import Callable

import pytest
from running import RunningServer, received

from runledger.server.limits import Limits

pytestmark = pytest.mark.one_database

Start = Callable[..., RunningServer]
QUICK = Limits(head_seconds=0.5, body_seconds=0.5)


def _status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: 4\r\nContent-Length: 5\r\n",
        b"Content-Length: 4\r\nContent-Length: 4\r\n",
        b"Content-Length : 4\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Content-Length: +4\r\n",
        b"Content-Length: 0x4\r\n",
        b"X: a\n b\r\n",
        b"X: a\nY: b\r\n",
        b"X: a\rY: b\r\n",
        b"X: a\x00b\r\n",
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(empty: RunningServer, head: bytes) -> None:
    second = b"GET /v1/health/ HTTP/1.1\r\nHost: localhost:%d\r\n\r\n" % empty.port
    first = b"POST /v1/agents/agent-a/messages/cancel HTTP/1.1\r\nHost: localhost:%d\r\n"
    answer = empty.send(first % empty.port + head + b"\r\n{}\r\n" + second)
    assert _status(answer) in (400, 415)
    assert b"connection: close" in answer.lower()
    assert b'"status":"ok"' not in answer


@pytest.mark.parametrize("target", [b"http://evil.example/v1/runs", b"*", b"localhost:80", b"v1"])
def test_a_target_that_is_no_path_is_refused(empty: RunningServer, target: bytes) -> None:
    method = b"CONNECT" if target == b"localhost:80" else b"GET"
    head = b"%b %b HTTP/1.1\r\nHost: localhost:%d\r\n\r\n" % (method, target, empty.port)
    assert _status(empty.send(head)) == 400


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /%b HTTP/1.1\r\n\r\n" % (b"a" * 9_000), 414),
        (b"GET / HTTP/1.1\r\nX: %b\r\n\r\n" % (b"a" * 17_000), 431),
        (b"GET / HTTP/1.1\r\n%b\r\n" % (b"X: a\r\n" * 101), 431),
        (b"GET / HTTP/1.1\r\nX: %b" % (b"a" * 100_000), 431),
    ],
)
def test_a_head_has_a_size(empty: RunningServer, head: bytes, status: int) -> None:
    answer = empty.send(head)
    assert _status(answer) == status
    assert b"connection: close" in answer


@pytest.mark.parametrize("sent", [b"", b"GET /v1/he", b"GET / HTTP/1.1\r\nHost: loc"])
def test_a_head_that_does_not_come_ends_the_connection(start: Start, sent: bytes) -> None:
    server = start(limits=QUICK)
    answer = server.send(sent)
    assert _status(answer) == 408


def test_a_slow_head_ends_though_bytes_keep_coming(start: Start) -> None:
    # Long enough for the others, whose heads come at once, on a busy machine.
    server = start(limits=Limits(head_seconds=2.0))
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as slow:
        begun = time.monotonic()
        for byte in b"GET /v1/health/ HTTP/1.1\r\nX-Long: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa":
            try:
                slow.sendall(bytes([byte]))
            except OSError:
                break
            time.sleep(0.05)
            # Others are served meanwhile.
            with server.client() as client:
                assert client.get("/v1/health/").status_code == 200
            if time.monotonic() - begun > 4:
                break
        assert _status(received(slow)) == 408


def test_a_body_that_does_not_come_ends_the_connection(start: Start) -> None:
    server = start(limits=QUICK)
    head = (
        b"POST /v1/agents/agent-a/messages/cancel HTTP/1.1\r\nHost: localhost:%d\r\n"
        b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    )
    answer = server.send(head % server.port)
    assert _status(answer) == 408
    assert b"connection: close" in answer


def test_connections_that_are_kept_are_not_cut_by_the_time_of_a_head(start: Start) -> None:
    server = start(limits=QUICK)
    with server.client() as client:
        client.get("/v1/health/")
        time.sleep(0.8)
        assert client.get("/v1/health/").status_code == 200


@pytest.mark.parametrize("length", [True, False])
def test_a_body_has_a_size(empty: RunningServer, length: bool) -> None:
    large = b"[" + b"1," * 700_000 + b"1]"
    pieces = (large[place : place + 10_000] for place in range(0, len(large), 10_000))
    with empty.client() as client:
        answer = client.post(
            "/v1/agents/agent-a/messages/cancel",
            content=large if length else pieces,
            headers={"Content-Type": "application/json"},
        )
        assert answer.status_code == 413
        assert client.get("/v1/health/").status_code == 200


@pytest.mark.parametrize(
    "head", [{"Content-Encoding": "gzip"}, {"Content-Encoding": "br"}, {"Content-Encoding": "a, b"}]
)
def test_a_packed_body_is_refused_where_none_is_expected(
    empty: RunningServer, head: dict[str, str]
) -> None:
    with empty.client() as client:
        answer = client.post(
            "/v1/agents/agent-a/messages/cancel",
            content=b"x",
            headers={"Content-Type": "application/json", **head},
        )
    assert answer.status_code == 415


@pytest.mark.parametrize(
    "kind", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "x"]
)
def test_only_json_is_json(empty: RunningServer, kind: str | None) -> None:
    with empty.client() as client:
        answer = client.post(
            "/v1/agents/agent-a/messages/cancel",
            content=b"{}",
            headers={} if kind is None else {"Content-Type": kind},
        )
    assert answer.status_code == 415


@pytest.mark.usefixtures("no_collection")
@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b'{"run_ids": [], "run_ids": []}',
        b'{"a": {"b": 1, "\\u0062": 2}}',
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": 1e999}',
        b'{"a": ' + b"1" * 5_000 + b"}",
        b'{"a": "\\ud800"}',
        b'{"a": "\xff"}',
        b"\xff\xfe{\x00}\x00",
        b"{",
        b"{} {}",
        b"{'a': 1}",
        b'{"a": 01}',
    ],
    ids=lambda body: body[:20],
)
def test_what_is_not_quite_json_is_refused(empty: RunningServer, body: bytes) -> None:
    with empty.client() as client:
        answer = client.post(
            "/v1/agents/agent-a/messages/cancel",
            content=body,
            headers={"Content-Type": "application/json"},
        )
        assert answer.status_code == 400
        assert answer.json()["detail"].startswith("body: expected")
        assert client.get("/v1/health/").status_code == 200


def test_a_duplicate_key_is_named(empty: RunningServer) -> None:
    with empty.client() as client:
        answer = client.post(
            "/v1/agents/agent-a/messages/cancel",
            content=b'{"run_id": 1, "run_id": 2}',
            headers={"Content-Type": "application/json"},
        )
    assert "'run_id'" in answer.json()["detail"]


@pytest.mark.parametrize(
    "given",
    [
        "..%2f..%2fetc",
        "%2e%2e",
        "run-" + "0" * 7_000,
        "run-00000000-0000-4000-8000-000000000000%00",
        "run-00000000-0000-4000-8000-000000000000%0a",
        "run-00000000-0000-4000-8000-00000000000%ff",
        "run-%EF%BC%90%EF%BC%90000000-0000-4000-8000-000000000000",
        "RUN-00000000-0000-4000-8000-000000000000",
        "run-0000000A-0000-4000-8000-000000000000",
        "run-00000000-0000-1000-8000-000000000000",
    ],
)
def test_an_id_is_one_or_is_refused(empty: RunningServer, given: str) -> None:
    head = f"GET /v1/runs/{given} HTTP/1.1\r\nHost: localhost:{empty.port}\r\n"
    answer = empty.send(f"{head}Connection: close\r\n\r\n".encode("ascii"))
    assert _status(answer) == 400
    with empty.client() as client:
        cursor = client.get(f"/v1/runs/?after={given}")
    assert cursor.status_code == 400


def test_more_requests_than_are_answered_at_once_are_told_so(start: Start) -> None:
    server = start(limits=Limits(requests=0))
    with server.client() as client:
        answer = client.get("/v1/runs/")
        assert client.get("/healthz").status_code == 200
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["x-should-retry"] == "true"


def test_a_client_that_never_reads_is_cut(start: Start) -> None:
    server = start(limits=Limits(write_seconds=0.5))
    run = server.do(server.ledger.create_run("agent-a"))
    text = "x" * 500_000
    for _ in range(40):
        server.do(server.ledger.record_messages(run.run_id, [{"role": "user", "content": text}]))
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=10)
    with connection:
        head = f"GET /v1/runs/{run.run_id}/messages HTTP/1.1\r\nHost: localhost:{server.port}\r\n"
        connection.sendall(f"{head}\r\n".encode("ascii"))
        connections = server.serving.server_state.connections
        # It may be over before it is seen.
        _await(lambda: len(connections) == 1, seconds=5)
        assert _await(lambda: not connections, seconds=120)
        assert len(received(connection)) < 40 * len(text)


def _await(holds: Callable[[], bool], *, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.01)
    return holds()
