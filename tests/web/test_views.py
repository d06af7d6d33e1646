"""Every view is drawn, says the same as JSON, and is what the ledger says."""

import csv
import io
import json
from pathlib import Path

import pytest
from running import RunningServer
from sample import CONVERSATION, RICH
from views import VIEWS

from runledger.web.mount import mount_page


def twin(path: str) -> str:
    stem, mark, query = path.partition("?")
    return f"{stem}.json{mark}{query}"


@pytest.mark.parametrize("path", VIEWS)
def test_a_view_is_html_under_a_strict_policy(page: RunningServer, path: str) -> None:
    with page.client() as client:
        answer = client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", VIEWS)
def test_a_view_has_a_twin_in_json(page: RunningServer, path: str) -> None:
    with page.client() as client:
        page_text = client.get(path).text
        answer = client.get(twin(path))
    assert answer.headers["content-type"] == "application/json"
    assert isinstance(answer.json(), dict)
    assert f'href="{twin(path).partition("?")[0]}' in page_text


@pytest.mark.parametrize(
    "filters",
    [
        {},
        {"statuses": ["failed"]},
        {"statuses": ["completed", "cancelled"], "ascending": "true"},
        {"agent_id": "agent-support", "order_by": "duration"},
        {"tools_used": ["search"]},
        {"stop_reason": "end_turn", "step_count": "2", "step_count_operator": "gte"},
        {"conversation_id": CONVERSATION, "background": "true", "template_family": "template-1"},
        {"project_id": "project-1"},
        {"duration": "1ms", "duration_operator": "lt"},
        {"duration_percentile": "90"},
        {"start_date": "2020-01-01", "end_date": "2020-01-31"},
        {"limit": "3"},
        {"run_id": RICH},
    ],
)
def test_the_list_is_that_of_the_ledger(page: RunningServer, filters: dict[str, object]) -> None:
    asked: dict[str, object] = dict(filters)
    numbers = {"step_count": int, "limit": int, "duration_percentile": float}
    for name, kind in numbers.items():
        if name in asked:
            asked[name] = kind(str(asked[name]))
    for name in ("background", "ascending"):
        if name in asked:
            asked[name] = asked[name] == "true"
    if "duration" in asked:
        asked.pop("duration")
        asked["duration_filter"] = {"value": 1_000_000, "operator": asked.pop("duration_operator")}
    for name in ("start_date", "end_date"):
        if name in asked:
            asked[name] = f"{asked[name]}T00:00:00Z"
    with page.client() as client:
        shown = client.get("/runs.json", params=filters).json()
        said = client.post("/api/v1/runs/search", json={"filters": asked}).json()
    assert shown["runs"] == said
    if "limit" not in filters:
        by_duration = filters.get("order_by") == "duration"
        assert shown["groups"]["with_duration" if by_duration else "runs"] == len(said)
        if by_duration:
            return
        statuses = [run["status"] for run in said]
        counted = {one["value"]: one["runs"] for one in shown["groups"]["facets"]["status"]}
        assert counted == {status: statuses.count(status) for status in set(statuses)}
        assert sum(one["runs"] for one in shown["groups"]["times"]) == len(said)


def test_pages_of_the_list_give_every_run_once(page: RunningServer) -> None:
    with page.client() as client:
        whole = [run["run_id"] for run in client.get("/runs.json?limit=1000").json()["runs"]]
        pages: list[str] = []
        link = "/runs?limit=3"
        while link:
            text = client.get(link).text
            pages += [run["run_id"] for run in client.get(twin(link)).json()["runs"]]
            head, mark, _ = text.partition('rel="next"')
            link = ""
            if mark:
                link = head.rpartition('href="')[2].partition('"')[0].replace("&amp;", "&")
    # A page that is full and the last leads to one that is empty.
    assert pages == whole


def test_a_download_is_every_run_of_the_filters(page: RunningServer) -> None:
    with page.client() as client:
        said = client.get("/runs.json?limit=1000&statuses=completed").json()["runs"]
        lines = client.get("/runs.jsonl?statuses=completed&limit=2").text.splitlines()
        rows = list(csv.DictReader(io.StringIO(client.get("/runs.csv?statuses=completed").text)))
    assert [json.loads(line) for line in lines] == said
    assert [row["run_id"] for row in rows] == [run["run_id"] for run in said]
    assert [row["total_tokens"] for row in rows] == [str(run["total_tokens"]) for run in said]


def test_a_run_says_what_the_ledger_says_of_it(page: RunningServer) -> None:
    with page.client() as client:
        shown = client.get(f"/runs/{RICH}.json").json()
        assert shown["run"] == client.get(f"/api/v1/runs/{RICH}").json()
        assert shown["steps"] == client.get(f"/api/v1/runs/{RICH}/steps").json()
        assert shown["callback"] == client.get(f"/api/v1/runs/{RICH}/callback").json()
        assert len(shown["events"]) == shown["run"]["version"]


def test_a_run_is_shown_as_it_was_after_each_event(page: RunningServer) -> None:
    with page.client() as client:
        events = client.get(f"/runs/{RICH}.json").json()["events"]
        for number, event in enumerate(events, 1):
            then = client.get(f"/runs/{RICH}.json?event={number}").json()
            past = client.get(f"/api/v1/runs/{RICH}?as_of={event['position']}").json()
            assert then["run"] == past
            assert then["run"]["version"] == number


def test_the_list_is_as_it_was_at_a_position(page: RunningServer) -> None:
    with page.client() as client:
        said = client.post("/api/v1/runs/search", json={"as_of": "20"}).json()
        shown = client.get("/runs.json?as_of=20").json()
        text = client.get("/runs?as_of=20").text
    assert shown["runs"] == said
    assert shown["groups"]["runs"] == len(said)
    assert "As of 20." in text


def test_a_run_of_many_steps_is_drawn_in_pages(empty: RunningServer) -> None:
    async def record() -> str:
        run = await empty.ledger.create_run("agent-a")
        for number in range(450):
            await empty.ledger.record_step(run.run_id, prompt_tokens=number, step_ns=1_000)
        return run.run_id

    run_id = empty.do(record())
    with empty.client() as client:
        pages = [client.get(f"/runs/{run_id}.json?steps={page}").json() for page in (1, 2, 3)]
        text = client.get(f"/runs/{run_id}").text
    assert [len(page["steps"]) for page in pages] == [200, 200, 50]
    tokens = [step["prompt_tokens"] for page in pages for step in page["steps"]]
    assert tokens == list(range(450))
    assert "450 steps" in text
    assert 'class="band"' in text
    assert text.count("<tr") < 700


def test_a_long_run_is_shown_by_a_server_without_read_models(tmp_path: Path) -> None:
    with RunningServer(f"sqlite:///{tmp_path}/runs.db", None, prepare=mount_page) as server:

        async def record() -> str:
            run = await server.ledger.create_run("agent-a")
            for number in range(310):
                await server.ledger.record_step(run.run_id, prompt_tokens=number)
            return run.run_id

        run_id = server.do(record())
        with server.client() as client:
            shown = client.get(f"/runs/{run_id}.json?steps=2").json()
            page = client.get(f"/runs/{run_id}")
            listed = client.get("/runs")
    assert [step["prompt_tokens"] for step in shown["steps"]] == list(range(200, 310))
    assert "without read models" in page.text
    assert listed.status_code == 501
    assert "read models" in listed.text


def test_an_empty_ledger_says_what_to_paste(empty: RunningServer) -> None:
    with empty.client() as client:
        text = client.get("/runs").text
    assert "runledger demo" in text
    assert "runledger import" in text


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/nothing", 404, "there is no such view"),
        ("/runs/run-00000000-0000-4000-8000-000000000000", 404, "not found"),
        ("/runs/run-1", 400, "run-1"),
        ("/runs?statuses=lost", 422, "statuses"),
        ("/runs?duration=long", 422, "duration"),
        ("/runs?colour=red", 422, "colour"),
    ],
)
def test_an_error_is_said_in_words(page: RunningServer, path: str, status: int, words: str) -> None:
    with page.client() as client:
        answer = client.get(path, headers={"Accept": "text/html"})
        problem = client.get(twin(path))
    assert answer.status_code == problem.status_code == status
    assert words in answer.text
    assert "content-security-policy" in answer.headers
    assert problem.json()["status"] == status
