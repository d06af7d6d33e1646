"""A page of another site can make a browser send requests here; none of them does anything."""

from typing import Any

import pytest
from running import RunningServer

pytestmark = pytest.mark.one_database


def _raw(server: RunningServer, *fields: str) -> bytes:
    lines = "".join(f"{field}\r\n" for field in fields)
    return server.send(
        f"GET /v1/health/ HTTP/1.1\r\n{lines}Connection: close\r\n\r\n".encode("ascii")
    )


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:{port}", 200),
        ("LOCALHOST:{port}", 200),
        ("127.0.0.1:{port}", 200),
        ("[::1]:{port}", 200),
        ("ledger.example", 200),
        ("ledger.example:{port}", 200),
        ("evil.example", 421),
        ("evil.example:{port}", 421),
        ("127.0.0.1.evil.example:{port}", 421),
        ("localhost", 421),
        ("localhost:1", 421),
        ("localhost:", 421),
        ("localhost@evil.example:{port}", 421),
        ("", 421),
    ],
)
def test_only_our_own_names_lead_here(empty: RunningServer, host: str, status: int) -> None:
    answer = _raw(empty, f"Host: {host.format(port=empty.port)}")
    assert int(answer.split(b" ")[1]) == status


def test_there_is_one_host(empty: RunningServer) -> None:
    ours = f"Host: localhost:{empty.port}"
    for fields in ((), (ours, ours), (ours, "Host: evil.example")):
        assert int(_raw(empty, *fields).split(b" ")[1]) == 400


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 409),
        ({"Origin": "http://127.0.0.1:{port}", "Sec-Fetch-Site": "same-origin"}, 409),
        ({"Sec-Fetch-Site": "none"}, 409),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost:1"}, 403),
        ({"Origin": "http://127.0.0.1:{port}.evil.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403),
        (
            {
                "Sec-Fetch-Site": "cross-site",
                "Sec-Fetch-Mode": "navigate",
                "Sec-Fetch-Dest": "document",
            },
            403,
        ),
    ],
)
def test_a_post_without_preflight_cancels_nothing(
    empty: RunningServer, headers: dict[str, str], status: int
) -> None:
    given = {name: value.format(port=empty.port) for name, value in headers.items()}
    with empty.client() as client:
        answer = client.post("/v1/conversations/conv-a/cancel", headers=given)
        assert answer.status_code == status
        assert client.get("/v1/runs/", headers=given).status_code == (200 if status == 409 else 403)


def test_no_answer_invites_other_sites(empty: RunningServer) -> None:
    with empty.client() as client:
        answer: Any = client.get("/v1/health/", headers={"Origin": empty.url})
        assert not [name for name in answer.headers if name.startswith("access-control")]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert client.options("/v1/runs/").status_code == 405


@pytest.mark.parametrize("given", ["a b", "a" * 65, "ü", '"', ""])
def test_a_request_id_is_taken_over_only_if_it_is_harmless(
    empty: RunningServer, given: str
) -> None:
    with empty.client() as client:
        taken = client.get("/v1/health/", headers={"X-Request-Id": "id-1_a"})
        refused = client.get("/v1/health/", headers={"X-Request-Id": given.encode("utf-8")})  # type: ignore[dict-item]
    assert taken.headers["x-request-id"] == "id-1_a"
    assert refused.headers["x-request-id"] != given
