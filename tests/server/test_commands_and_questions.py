"""`/api/v1`: commands happen once by their key, at their version or not at all; answers equal the
ledger's own."""

from datetime import UTC, datetime
from typing import Any

import pytest
from running import RunningServer

from runledger.ids import new_id
from runledger.server.routes import ROUTES

RUNS = "/api/v1/runs"


def created(server: RunningServer, **facts: Any) -> str:
    with server.client() as client:
        return client.post(RUNS, json={"agent_id": "agent-a", **facts}).json()["run_id"]


def test_a_run_is_told_from_its_creation_to_its_end(server: RunningServer) -> None:
    with server.client() as client:
        made = client.post(RUNS, json={"agent_id": "agent-a", "metadata": {"a": 1}})
        assert made.status_code == 201
        run_id = made.json()["run_id"]
        assert made.headers["location"] == f"{RUNS}/{run_id}"
        assert made.headers["etag"] == '"1"'
        again = client.post(
            RUNS, json={"agent_id": "agent-a", "run_id": run_id, "metadata": {"a": 1}}
        )
        assert (again.status_code, again.json()) == (200, made.json())
        assert client.post(f"{RUNS}/{run_id}/start").json()["status"] == "running"
        step = {"model": "gpt", "prompt_tokens": 3, "tags": ["x"]}
        message = {"role": "user", "content": "hi"}
        recorded = client.post(
            f"{RUNS}/{run_id}/steps", json={"facts": step, "messages": [message]}
        )
        step_id = recorded.json()["step_id"]
        judged = client.post(f"/api/v1/steps/{step_id}/feedback", json={"feedback": "positive"})
        assert (judged.json()["feedback"], judged.json()["tags"]) == ("positive", ["x"])
        assert client.get(f"/api/v1/steps/{step_id}").json() == judged.json()
        ids = client.post(f"{RUNS}/{run_id}/messages", json={"messages": [message]}).json()
        assert len(ids["message_ids"]) == 1
        assert client.post(f"{RUNS}/{run_id}/heartbeat").json() is None
        patched = client.post(
            f"{RUNS}/{run_id}/metadata", json={"patch": {"b": 2}, "remove": ["a"]}
        )
        assert patched.json()["metadata"] == {"b": 2}
        ended = client.post(f"{RUNS}/{run_id}/complete", json={"run_ns": 5})
        assert (ended.json()["status"], ended.json()["run_ns"]) == ("completed", 5)
        found = client.get(f"{RUNS}/{run_id}")
        assert found.json() == ended.json()
        assert found.headers["etag"] == f'"{found.json()["version"]}"'
        stored = client.get(f"{RUNS}/{run_id}/messages", params={"form": "stored"}).json()
        assert [m["role"] for m in stored] == ["user", "user"]
        assert [s["step_id"] for s in client.get(f"{RUNS}/{run_id}/steps").json()] == [step_id]
        assert client.get(f"{RUNS}/{run_id}/usage").json()["prompt_tokens"] == 3
        past = client.get(f"{RUNS}/{run_id}", params={"as_of": "1"})
        assert past.status_code in (200, 404)
        assert client.delete(f"{RUNS}/{run_id}").json() is None
        assert client.get(f"{RUNS}/{run_id}").status_code == 404


def test_a_key_makes_a_command_happen_once(server: RunningServer) -> None:
    run_id = created(server)
    with server.client() as client:
        first = client.post(f"{RUNS}/{run_id}/heartbeat", headers={"Idempotency-Key": "h"})
        assert first.status_code == 200
        patch = {"json": {"patch": {"a": 1}}, "headers": {"Idempotency-Key": "p"}}
        client.post(f"{RUNS}/{run_id}/metadata", **patch)
        client.post(f"{RUNS}/{run_id}/metadata", json={"patch": {"a": 2}})
        client.post(f"{RUNS}/{run_id}/complete")
        head = server.ledger.store.head()
        again = client.post(f"{RUNS}/{run_id}/heartbeat", headers={"Idempotency-Key": "h"})
        assert again.status_code == 200
        assert client.post(f"{RUNS}/{run_id}/metadata", **patch).json()["metadata"] == {"a": 2}
        assert server.ledger.store.head() == head
        refused = client.post(f"{RUNS}/{run_id}/heartbeat")
        assert (refused.status_code, refused.json()["type"]) == (
            409, "urn:runledger:error:already-ended")  # fmt: skip
        reused = client.post(
            f"{RUNS}/{run_id}/metadata",
            json={"patch": {"a": 3}},
            headers={"Idempotency-Key": "p"},
        )
        assert reused.json()["type"] == "urn:runledger:error:idempotency-key-reused"
        assert reused.status_code == 422
        runs = {
            client.post(
                RUNS, json={"agent_id": "agent-a"}, headers={"Idempotency-Key": "c"}
            ).json()["run_id"]
            for _ in range(2)
        }
        assert len(runs) == 1


def test_a_version_is_expected_by_its_etag(server: RunningServer) -> None:
    run_id = created(server)
    with server.client() as client:
        etag = client.get(f"{RUNS}/{run_id}").headers["etag"]
        client.post(f"{RUNS}/{run_id}/start")
        refused = client.post(f"{RUNS}/{run_id}/complete", headers={"If-Match": etag})
        assert refused.status_code == 412
        problem = refused.json()
        assert problem["type"] == "urn:runledger:error:version-conflict"
        assert (problem["expected"], problem["found"], problem["run_id"]) == (1, 2, run_id)
        assert (
            client.post(f"{RUNS}/{run_id}/complete", headers={"If-Match": '"2"'}).status_code == 200
        )
        for wrong in ("2", 'W/"2"', '"0"', '"x"', "*"):
            sent = client.post(f"{RUNS}/{run_id}/start", headers={"If-Match": wrong})
            assert sent.status_code == 422


def test_what_no_command_takes_is_refused_by_name(server: RunningServer) -> None:
    run_id = created(server)
    with server.client() as client:
        head = server.ledger.store.head()
        for path, body in (
            (f"{RUNS}/{run_id}/complete", {"stop_reasn": "end_turn"}),
            (f"{RUNS}/{run_id}/steps", {"facts": {"modl": "x"}}),
            (f"{RUNS}/{run_id}/steps", {"facts": {"actor": "x"}}),
            (f"{RUNS}/{run_id}/steps", {"facts": {"idempotency_key": "x"}}),
            (f"{RUNS}/{run_id}/steps", {"facts": {"step_id": new_id("step")}}),
            (f"{RUNS}/{run_id}/messages", {}),
            (f"{RUNS}/{run_id}/fail", {"at": "2026-01-01T00:00:00"}),
            (f"{RUNS}/search", {"filters": {"limit": 0}}),
            (f"{RUNS}/search", {"filters": {"actor": "x"}}),
            (f"{RUNS}/search", {"filters": {"as_of": 1}}),
        ):
            sent = client.post(path, json=body)
            assert sent.status_code == 422, (path, body, sent.text)
            assert sent.headers["content-type"] == "application/problem+json"
        assert client.get(f"{RUNS}/{run_id}", params={"nonsense": 1}).status_code == 422
        assert server.ledger.store.head() == head


def test_lists_and_totals_equal_the_ledger_s_own(sample: RunningServer) -> None:
    ledger = sample.ledger
    with sample.client() as client:
        day = datetime.now(UTC).date().isoformat()
        filters = {"statuses": ["completed"], "limit": 3, "end_date": f"{day}T23:59:59Z"}
        runs = client.post(f"{RUNS}/search", json={"filters": filters}).json()
        assert [run["run_id"] for run in runs] == [
            run.run_id for run in sample.do(ledger.list_runs(statuses=["completed"], limit=3))
        ]
        steps = client.post("/api/v1/steps/search", json={"filters": {"limit": 5}}).json()
        assert len(steps) == 5
        usage = client.get("/api/v1/usage", params={"by": ["model", "day"]}).json()
        assert len(usage) == len(sample.do(ledger.usage_totals(by=["model", "day"])))
        assert len(client.get("/api/v1/agents").json()) == len(sample.do(ledger.list_agents()))
        assert client.get("/api/v1/percentiles").status_code == 200
        assert client.get("/api/v1/callbacks", params={"statuses": "pending"}).status_code == 200
        durations = client.post(f"{RUNS}/durations", json={}).json()
        assert durations == dict(sample.do(ledger.run_durations()))


def test_agents_are_registered_and_runs_cancelled_together(server: RunningServer) -> None:
    with server.client() as client:
        agent = client.put("/api/v1/agents/agent-a", json={"name": "Ada"}).json()
        assert (agent["agent_id"], agent["name"]) == ("agent-a", "Ada")
        assert client.get("/api/v1/agents/agent-a").json() == agent
        inside = created(server, conversation_id="conv-1")
        outside = created(server)
        body = {"agent_id": "agent-a", "without_conversation": True}
        (done,) = client.post(f"{RUNS}/cancel", json=body).json()
        assert (done["outcome"], done["run"]["run_id"]) == ("cancelled", outside)
        one = client.post(f"{RUNS}/{inside}/cancel", json={"reason": "stop"}).json()
        assert one["outcome"] == "cancelled"
        assert client.post(f"{RUNS}/{inside}/cancel").json()["outcome"] == "already_ended"


@pytest.mark.parametrize(
    "route",
    [r for r in ROUTES if "/api/v1/runs/{run_id}" in r.path],
    ids=lambda route: f"{route.method} {route.path}",
)
def test_a_run_that_is_not_there_is_404(empty: RunningServer, route: Any) -> None:
    body = {"messages": []} if route.path.endswith("messages") else {"feedback": "positive"}
    needs = route.body is not None and any(
        f.is_required() for f in route.body.model_fields.values()
    )
    with empty.client() as client:
        path = route.path.replace("{run_id}", new_id("run"))
        sent = client.request(route.method, path, json=body if needs else None)
        assert (sent.status_code, sent.json()["type"]) == (404, "urn:runledger:error:not-found")
