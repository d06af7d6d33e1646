"""The numbers of the server, and lists with the address of their next page."""

from collections.abc import Callable
from pathlib import Path

import pytest
from running import RunningServer


def test_numbers_name_the_route_and_never_the_path(server: RunningServer) -> None:
    run_id = server.do(server.ledger.create_run("agent-a")).run_id
    with server.client() as client:
        client.get(f"/v1/runs/{run_id}")
        client.get("/v1/no/such/address")
        answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert 'http_route="/v1/runs/{run_id}"' in answer.text
    assert run_id not in answer.text
    assert "no/such" not in answer.text
    assert f"runledger_log_position {float(server.ledger.store.head())}" in answer.text
    for name in ("http_server_active_requests", "runledger_streams", "runledger_sql_killed_total"):
        assert f"\n{name} " in answer.text


@pytest.mark.parametrize("limit", [1, 2, 50])
@pytest.mark.parametrize("ascending", [True, False])
def test_next_leads_to_every_run_once(sample: RunningServer, limit: int, ascending: bool) -> None:
    expected = sample.do(sample.ledger.list_runs(limit=1000, ascending=ascending))
    found = []
    address = f"/api/v1/runs?limit={limit}&ascending={str(ascending).lower()}"
    with sample.client() as client:
        while address is not None:
            answer = client.get(address)
            page = answer.json()
            found += [run["run_id"] for run in page["data"]]
            address = page["next"]
            assert ("link" in answer.headers) == (address is not None)
            assert page["position"] == int(answer.headers["runledger-position"])
    assert found == [run.run_id for run in expected]


def test_every_filter_is_a_parameter(sample: RunningServer) -> None:
    ledger = sample.ledger
    questions = [
        ("statuses=failed&statuses=cancelled", {"statuses": ["failed", "cancelled"]}),
        (
            "duration=gte:1ms&order_by=duration",
            {"duration_filter": {"value": 10**6, "operator": "gte"}, "order_by": "duration"},
        ),
        ("step_count=gte:2", {"step_count": 2, "step_count_operator": "gte"}),
        (
            "tools_used=search&project_id=project-1",
            {"tools_used": ["search"], "project_id": "project-1"},
        ),
        ("start_date=2020-01-01", {}),
        ("background=true", {"background": True}),
        (
            "where=num_steps%20%3E%201%20AND%20status%20%3C%3E%20'running'",
            {"where": "num_steps > 1 AND status <> 'running'"},
        ),
    ]
    with sample.client() as client:
        for query, filters in questions:
            expected = sample.do(ledger.list_runs(limit=50, **filters))  # type: ignore[arg-type]
            told = client.get(f"/api/v1/runs?{query}").json()["data"]
            assert [run["run_id"] for run in told] == [run.run_id for run in expected], query
            assert told or query.startswith("tools_used"), query
        steps = client.get("/api/v1/steps?tags=red").json()["data"]
        assert len(steps) == 1
        for wrong in ("duration=x", "duration=near:1s", "step_count=1.5", "unknown=1", "limit=0"):
            assert client.get(f"/api/v1/runs?{wrong}").status_code == 422, wrong


def test_a_position_to_come_is_waited_for_and_one_that_does_not_is_told(
    server: RunningServer,
) -> None:
    server.do(server.ledger.create_run("agent-a"))
    head = server.ledger.store.head()
    with server.client() as client:
        assert client.get(f"/api/v1/runs?min_position={head}").status_code == 200
        assert client.get(f"/api/v1/runs?min_position={head + 1}").status_code == 503


def test_what_has_not_changed_is_not_sent_again(server: RunningServer) -> None:
    run_id = server.do(server.ledger.create_run("agent-a")).run_id
    with server.client() as client:
        first = client.get(f"/api/v1/runs/{run_id}")
        same = {"If-None-Match": first.headers["etag"]}
        assert client.get(f"/api/v1/runs/{run_id}", headers=same).status_code == 304
        server.do(server.ledger.start_run(run_id))
        assert client.get(f"/api/v1/runs/{run_id}", headers=same).status_code == 200


def test_a_refused_condition_names_its_column(sample: RunningServer) -> None:
    with sample.client() as client:
        for path in ("runs", "usage", "percentiles"):
            answer = client.get(f"/api/v1/{path}", params={"where": "statsu = 'failed'"})
            assert answer.status_code == 422
            problem = answer.json()
            assert problem["type"] == "urn:runledger:error:invalid-expression"
            assert problem["column"] == 1
            assert "did you mean status" in problem["detail"]


def test_a_page_of_the_past_has_the_position_of_the_past(server: RunningServer) -> None:
    run_id = server.do(server.ledger.create_run("agent-a")).run_id
    position = server.ledger.store.head()
    server.do(server.ledger.complete_run(run_id))
    with server.client() as client:
        page = client.get(f"/api/v1/runs?as_of={position}")
        assert [run["status"] for run in page.json()["data"]] == ["created"]
        assert page.json()["position"] == int(page.headers["runledger-position"]) == position
        now = client.get("/api/v1/runs").json()
        assert (now["data"][0]["status"], now["position"] > position) == ("completed", True)


def test_a_page_of_a_published_copy_has_the_position_of_the_copy(
    start: Callable[..., RunningServer], tmp_path: Path
) -> None:
    server = start()
    server.do(server.ledger.create_run("agent-a"))
    server.do(server.ledger.list_runs())
    server.do(server.ledger.operator.publish(tmp_path / "published"))
    position = server.ledger.store.head()
    server.do(server.ledger.create_run("agent-a"))
    with start(read_models=tmp_path / "published").client() as client:
        page = client.get("/api/v1/runs").json()
        assert (len(page["data"]), page["position"]) == (1, position)
        late = client.get(f"/api/v1/runs?min_position={server.ledger.store.head()}")
        assert late.status_code == 503
