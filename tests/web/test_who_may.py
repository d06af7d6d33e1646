"""A browser signs in with a key, and a form of another site changes nothing."""

import pytest
from running import RunningServer

from runledger.server.keys import Keyring


def made(server: RunningServer, **options: object) -> str:
    """Make a key of the server's store, as `runledger keys create` does."""
    options.setdefault("organization", "*")
    return Keyring(server.ledger.store).create(name="ada", **options).text  # type: ignore[arg-type]


@pytest.fixture
def run_id(empty: RunningServer) -> str:
    return empty.do(empty.ledger.create_run("agent-a")).run_id


def test_a_key_becomes_a_cookie_that_says_nothing_of_it(empty: RunningServer) -> None:
    key = made(empty)
    with empty.client() as client:
        asked = client.get("/runs?limit=3")
        assert asked.status_code == 401
        assert "www-authenticate" not in asked.headers
        assert 'name="key"' in asked.text
        assert 'value="/runs?limit=3"' in asked.text
        answer = client.post(
            "/sign-in", data={"key": key, "next": "/runs?limit=3"}, headers={"Origin": empty.url}
        )
        assert answer.status_code == 303
        assert answer.headers["location"] == "/runs?limit=3"
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith(f"runledger-{empty.port}=")
        assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))
        assert key not in cookie
        assert client.get("/runs").status_code == 200
        client.post("/sign-out", headers={"Origin": empty.url})
        assert client.get("/runs").status_code == 401


def test_a_session_ends_when_its_key_is_revoked(empty: RunningServer) -> None:
    key = made(empty)
    with empty.client() as client:
        client.post("/sign-in", data={"key": key}, headers={"Origin": empty.url})
        assert client.get("/runs").status_code == 200
        Keyring(empty.ledger.store).revoke(key[4:12])
        empty.services.authentication._read_at = float("-inf")
        assert client.get("/runs").status_code == 401


def test_a_wrong_key_is_refused_in_words(empty: RunningServer) -> None:
    made(empty)
    with empty.client() as client:
        answer = client.post("/sign-in", data={"key": "x"}, headers={"Origin": empty.url})
    assert answer.status_code == 401
    assert "That key is not known here" in answer.text
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("next_", ["//evil.example", "https://evil.example", "/\\evil.example"])
def test_signing_in_leads_to_no_other_site(empty: RunningServer, next_: str) -> None:
    key = made(empty)
    with empty.client() as client:
        answer = client.post(
            "/sign-in", data={"key": key, "next": next_}, headers={"Origin": empty.url}
        )
    assert answer.headers["location"] == "/"


def test_a_key_that_may_read_cannot_cancel(empty: RunningServer, run_id: str) -> None:
    key = made(empty, scopes=["runs:read"])
    with empty.client() as client:
        client.post("/sign-in", data={"key": key}, headers={"Origin": empty.url})
        assert "/cancel" not in client.get(f"/runs/{run_id}").text
        answer = client.post(f"/runs/{run_id}/cancel", headers={"Origin": empty.url})
    assert answer.status_code == 403
    assert empty.do(empty.ledger.get_run_by_id(run_id)).status == "created"


def test_a_key_sees_its_own_organization_alone(empty: RunningServer, run_id: str) -> None:
    key = made(empty, organization="org-00000000-0000-4000-8000-00000000000b")
    headers = {"Authorization": f"Bearer {key}"}
    with empty.client(headers=headers) as client:
        assert client.get(f"/runs/{run_id}").status_code == 404
        assert client.get("/runs.json").json()["groups"]["runs"] == 0


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {},
        {
            "Sec-Fetch-Site": "cross-site",
            "Sec-Fetch-Mode": "navigate",
            "Sec-Fetch-Dest": "document",
        },
    ],
)
def test_a_form_of_another_site_cancels_nothing(
    empty: RunningServer, run_id: str, headers: dict[str, str]
) -> None:
    with empty.client() as client:
        answer = client.post(f"/runs/{run_id}/cancel", headers=headers)
    assert answer.status_code == 403
    assert empty.do(empty.ledger.get_run_by_id(run_id)).status == "created"


def test_a_link_from_another_site_opens_a_view(page: RunningServer) -> None:
    headers = {
        "Sec-Fetch-Site": "cross-site",
        "Sec-Fetch-Mode": "navigate",
        "Sec-Fetch-Dest": "document",
    }
    with page.client() as client:
        assert client.get("/runs", headers=headers).status_code == 200


def test_a_run_is_cancelled_and_deleted_from_its_view(empty: RunningServer, run_id: str) -> None:
    ours = {"Origin": empty.url}
    with empty.client() as client:
        answer = client.post(f"/runs/{run_id}/cancel", headers=ours)
        assert answer.headers["location"] == f"/runs/{run_id}"
        assert empty.do(empty.ledger.get_run_by_id(run_id)).status == "cancelled"
        assert client.post(f"/runs/{run_id}/delete", headers=ours).status_code == 422
        answer = client.post(f"/runs/{run_id}/delete", data={"certain": "yes"}, headers=ours)
        assert answer.headers["location"] == "/runs"
        assert client.get(f"/runs/{run_id}").status_code == 404


def test_a_callback_is_asked_for_again_from_the_view_of_its_run(empty: RunningServer) -> None:
    async def end_one() -> str:
        run = await empty.ledger.create_run("agent-a", callback_url="https://example.com/hook")
        await empty.ledger.complete_run(run.run_id)
        return run.run_id

    run_id = empty.do(end_one())
    with empty.client() as client:
        first = client.get(f"/runs/{run_id}.json").json()
        assert "Send the callback again" in client.get(f"/runs/{run_id}").text
        answer = client.post(f"/runs/{run_id}/callback", headers={"Origin": empty.url})
        assert answer.headers["location"] == f"/runs/{run_id}"
        then = client.get(f"/runs/{run_id}.json").json()
    assert then["events"][-1]["topic"] == "run.callback_requested"
    before, after = first["callback"]["owed"], then["callback"]["owed"]
    assert (before["redelivery"], after["redelivery"]) == (False, True)
    assert after["webhook_id"] == before["webhook_id"]
