"""Keys: their form, what they allow, and that nothing works without one where there are any."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from running import RunningServer

from runledger import Actor
from runledger.errors import InvalidArgument, NotFound
from runledger.server.keys import Keyring, matching, well_formed
from runledger.server.route import SCOPES
from runledger.store import Store


def _bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def _keyring(server: RunningServer) -> Keyring:
    return Keyring(server.ledger.store)


def test_only_the_hash_is_kept(store: Store) -> None:
    made = Keyring(store).create(name="ada", organization="org-a", scopes=["runs:read"])
    assert made.text not in json.dumps(store.notes(""))
    assert Keyring(store).keys() == [made.key]
    now = datetime.now(UTC)
    assert matching([made.key], made.text, now) == made.key
    other = Keyring(store).create(name="eve", organization="org-a")
    assert matching([made.key], other.text, now) is None


@given(place=st.integers(0, 50), sign=st.characters(max_codepoint=1_000))
def test_a_mistyped_key_is_told_without_looking_it_up(place: int, sign: str) -> None:
    good = "rlk_0aB1cD2e_" + "x" * 32
    from runledger.server.keys import _check

    good += _check(good)
    assert well_formed(good)
    mistyped = good[:place] + sign + good[place + 1 :]
    assert well_formed(mistyped) == (mistyped == good)
    assert not well_formed(good + "\n")


def test_what_no_key_could_be_is_refused(store: Store) -> None:
    keyring = Keyring(store)
    for wrong in (
        {"organization": "a b"},
        {"scopes": ["all"]},
        {"scopes": []},
        {"name": ""},
        {"name": "a\nb"},
    ):
        with pytest.raises(InvalidArgument):
            keyring.create(**{"name": "a", "organization": "org-a", **wrong})  # type: ignore[arg-type]
    with pytest.raises(NotFound):
        keyring.revoke("00000000")
    assert keyring.keys() == []


@pytest.mark.one_database
def test_without_a_good_key_nothing_is_answered(server: RunningServer) -> None:
    _keyring(server).create(name="ada", organization="org-a")
    with server.client() as client:
        for headers in (
            {},
            {"Authorization": "Bearer rlk_00000000_00000000000000000000000000000000000000"},
            {"Authorization": "Basic YTpi"},
            {"Authorization": "Bearer"},
            {"X-Api-Key": "a"},
        ):
            answer = client.get("/v1/runs/", headers=headers)
            assert answer.status_code == 401, headers
            assert answer.headers["www-authenticate"] == "Bearer"
            for open_to_all in ("/v1/health/", "/healthz", "/readyz"):
                assert client.get(open_to_all, headers=headers).status_code == 200, headers


def test_a_key_ends_and_is_revoked(server: RunningServer) -> None:
    keyring = _keyring(server)
    now = datetime.now(UTC)
    ended = keyring.create(name="a", organization="org-a", expires_at=now - timedelta(seconds=1))
    good = keyring.create(name="b", organization="org-a", expires_at=now + timedelta(hours=1))
    with server.client() as client:
        assert client.get("/v1/runs/", headers=_bearer(ended.text)).status_code == 401
        assert client.get("/v1/runs/", headers=_bearer(good.text)).status_code == 200
        keyring.revoke(good.key.key_id)
        server.services.authentication._read_at = float("-inf")
        assert client.get("/v1/runs/", headers=_bearer(good.text)).status_code == 401
        # Still: a server whose last key is revoked is not open to everyone.
        assert client.get("/v1/runs/").status_code == 401


@pytest.mark.one_database
def test_a_key_allows_what_its_scopes_say(server: RunningServer) -> None:
    keyring = _keyring(server)
    keys = {
        scope: keyring.create(name=scope, organization="*", scopes=[scope]).text for scope in SCOPES
    }
    for route in server.application.routes:
        if route.scope is None:
            continue
        path = route.path.replace("{", "").replace("}", "")
        with server.client() as client:
            for scope, text in keys.items():
                # Not read whole: a stream that may be followed does not end.
                with client.stream(route.method, path, headers=_bearer(text)) as answer:
                    refused = answer.status_code == 403 and "scope" in next(answer.iter_text())
                assert refused == (scope != route.scope), (route.path, scope)


def test_what_is_recorded_says_which_key(server: RunningServer) -> None:
    made = _keyring(server).create(name="ada", organization="org-a")
    run = server.do(server.ledger.create_run("agent-a", actor=_actor("org-a")))
    with server.client(headers=_bearer(made.text)) as client:
        forged = {"user_id": "eve", "X-User-Id": "eve", "X-Organization": "org-b"}
        answer = client.post("/v1/agents/agent-a/messages/cancel", headers=forged)
        assert answer.json() == {run.run_id: "cancelled"}
    (*_, ended) = server.ledger.store.read_stream(run.run_id)
    assert (ended.event.organization, ended.event.user) == ("org-a", "ada")


def _actor(organization: str) -> Any:
    from runledger import Actor

    return Actor(organization)


@pytest.mark.one_database
def test_an_authorization_is_ignored_where_there_are_no_keys(server: RunningServer) -> None:
    with server.client() as client:
        assert client.get("/v1/runs/", headers=_bearer("anything")).status_code == 200


def test_only_a_key_of_all_organizations_names_another(server: RunningServer) -> None:
    keyring = _keyring(server)
    texts = {name: keyring.create(name="ada", organization=name).text for name in ("org-a", "*")}
    mine = server.do(server.ledger.create_run("agent-a", actor=Actor("org-b"))).run_id
    with server.client() as client:
        for name, status in (("org-a", 403), ("*", 200)):
            headers = {**_bearer(texts[name]), "Runledger-Organization": "org-b"}
            assert client.get(f"/api/v1/runs/{mine}", headers=headers).status_code == status
            nothing = {**headers, "Runledger-Organization": "org-none"}
            unknown = client.get(f"/api/v1/runs/{mine}", headers=nothing)
            assert unknown.status_code == (403 if status == 403 else 404)
        own = {**_bearer(texts["org-a"]), "Runledger-Organization": "org-a"}
        assert client.get("/api/v1/runs", headers=own).status_code == 200
        wrong = {**_bearer(texts["*"]), "Runledger-Organization": "a b"}
        assert client.get("/api/v1/runs", headers=wrong).status_code == 400
        headers = {**_bearer(texts["*"]), "Runledger-Organization": "org-b"}
        client.post(f"/api/v1/runs/{mine}/complete", json={}, headers=headers)
    (event,) = (row.event for row in server.ledger.store.read_stream(mine) if row.version == 2)
    assert (event.organization, event.user) == ("org-b", "ada")
