"""What belongs to another organization is, byte for byte, what is not there."""

import json
from typing import Any

import pytest
from running import RunningServer

from runledger import Actor
from runledger.ids import derived_id
from runledger.server.keys import Keyring

MINE, THEIRS = Actor("org-mine"), Actor("org-theirs")
KINDS = {
    "run_id": "run",
    "step_id": "step",
    "agent_id": "agent",
    "conversation_id": "conversation",
}


@pytest.fixture
def foreign(server: RunningServer) -> dict[str, str]:
    """The ids of another organization's things, one of each kind."""
    ledger = server.ledger
    ids = {name: derived_id(kind, "foreign") for name, kind in KINDS.items()}
    server.do(
        ledger.create_run(
            ids["agent_id"],
            run_id=ids["run_id"],
            conversation_id=ids["conversation_id"],
            actor=THEIRS,
        )
    )
    message = {"role": "assistant", "content": "secret", "id": derived_id("message", "foreign")}
    server.do(
        ledger.record_step(ids["run_id"], step_id=ids["step_id"], messages=[message], actor=THEIRS)
    )
    return {**ids, "message_id": message["id"]}


def _headers(server: RunningServer) -> dict[str, str]:
    made = Keyring(server.ledger.store).create(name="me", organization=MINE.organization)
    return {"Authorization": f"Bearer {made.text}", "X-Request-Id": "same"}


def _unknown(name: str) -> str:
    return derived_id({**KINDS, "message_id": "message"}[name], "nothing")


def _told(answer: Any, ids: dict[str, str]) -> tuple[int, str, dict[str, str]]:
    """Return all of an answer, with the ids that were asked for blotted out."""
    text = answer.text
    for name, given in ids.items():
        text = text.replace(given, f"<{name}>")
    return answer.status_code, text, {k: v for k, v in answer.headers.items() if k != "date"}


def test_foreign_cursors_and_filters(server: RunningServer, foreign: dict[str, str]) -> None:
    unknown = {name: _unknown(name) for name in foreign}
    mine = server.do(server.ledger.create_run("agent-mine", actor=MINE)).run_id
    server.do(server.ledger.record_step(mine, actor=MINE))
    questions = [
        ("/v1/runs/", "after", "run_id"),
        ("/v1/runs/", "before", "run_id"),
        ("/v1/runs/", "agent_id", "agent_id"),
        ("/v1/runs/", "agent_ids", "agent_id"),
        ("/v1/runs/", "conversation_id", "conversation_id"),
        ("/v1/steps/", "after", "step_id"),
        ("/v1/steps/", "agent_id", "agent_id"),
        (f"/v1/runs/{mine}/steps", "after", "step_id"),
        (f"/v1/runs/{mine}/messages", "after", "message_id"),
    ]
    with server.client(headers=_headers(server)) as client:
        for path, parameter, name in questions:
            told = [
                _told(client.get(path, params={parameter: ids[name]}), ids)
                for ids in (foreign, unknown)
            ]
            assert told[0] == told[1], (path, parameter)
        both = {"run_ids": [mine, foreign["run_id"]]}
        answer = client.post("/v1/agents/agent-mine/messages/cancel", json=both)
        assert answer.status_code == 404
    assert server.do(server.ledger.get_run_by_id(mine, actor=MINE)).status == "running"


def test_nothing_of_others_is_listed_or_cancelled(
    server: RunningServer, foreign: dict[str, str]
) -> None:
    with server.client(headers=_headers(server)) as client:
        assert client.get("/v1/runs/").json() == []
        assert client.get("/v1/steps/").json() == []
        for path in (
            f"/v1/agents/{foreign['agent_id']}/messages/cancel",
            f"/v1/conversations/{foreign['conversation_id']}/cancel",
        ):
            assert client.post(path).status_code == 409
    theirs = server.do(server.ledger.get_run_by_id(foreign["run_id"], actor=THEIRS))
    assert theirs.status == "running"


def test_foreign_lines_of_a_batch_are_not_found(
    server: RunningServer, foreign: dict[str, str]
) -> None:
    unknown = {name: _unknown(name) for name in foreign}
    told = []
    with server.client(headers=_headers(server)) as client:
        for ids in (foreign, unknown):
            lines = [
                {"op": "start_run", "run_id": ids["run_id"]},
                {"op": "record_step", "run_id": ids["run_id"], "step_id": ids["step_id"]},
                {"op": "cancel_run", "run_id": ids["run_id"]},
                {"op": "delete_run", "run_id": ids["run_id"]},
            ]
            body = b"\n".join(json.dumps(line).encode() for line in lines)
            kind = {"Content-Type": "application/x-ndjson"}
            told.append(_told(client.post("/api/v1/batches", content=body, headers=kind), ids))
            follow = client.get(f"/api/v1/runs/{ids['run_id']}/follow")
            told[-1] = (*told[-1], _told(follow, ids))
    assert told[0] == told[1]
    assert told[0][0] == 422
    assert "not-found" in told[0][1]
