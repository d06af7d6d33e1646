"""Every view is drawn, says the same as JSON, and is what the ledger says."""

import csv
import io
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import get_args

import duckdb
import nanoarrow
import pytest
from nanoarrow.ipc import InputStream
from running import RunningServer
from sample import CONVERSATION, RICH
from views import VIEWS

from projections.queries.run_filter import SortKey
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
        *({"order_by": order, "ascending": "true"} for order in get_args(SortKey)),
        {"stop_reason": "end_turn", "step_count": "2", "step_count_operator": "gte"},
        {"conversation_id": CONVERSATION, "background": "true", "template_family": "template-1"},
        {"project_id": "project-1"},
        {"duration": "1ms", "duration_operator": "lt"},
        {"duration_percentile": "90"},
        {"start_date": "2020-01-01", "end_date": "2020-01-31"},
        {"limit": "3"},
        {"run_id": RICH},
        {"where": "num_steps > 1 AND NOT any_tool(status = 'open')"},
        {"where": "percentile(duration) >= 50", "statuses": ["completed"]},
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
        by_duration = filters.get("order_by") not in (None, "created_at")
        assert shown["groups"]["in_order"] == len(said)
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
    # A list tells costs if their column is shown; a file of all columns always does.
    costs = dict.fromkeys(("cost_usd", "unpriced_tokens", "incomplete_steps"))
    assert [json.loads(line) | costs for line in lines] == said
    assert any(json.loads(line)["incomplete_steps"] is not None for line in lines)
    assert [row["run_id"] for row in rows] == [run["run_id"] for run in said]
    assert [row["total_tokens"] for row in rows] == [str(run["total_tokens"]) for run in said]


@pytest.mark.parametrize("filters", ["", "statuses=running&statuses=failed", "agent_id=agent-none"])
def test_a_file_for_data_tools_has_the_rows_of_the_list(
    page: RunningServer, tmp_path: Path, filters: str
) -> None:
    with page.client() as client:
        said = client.get(f"/runs.json?limit=1000&{filters}").json()["runs"]
        parquet = client.get(f"/runs.parquet?limit=2&{filters}")
        arrow = client.get(f"/runs.arrow?{filters}").content
    assert 'filename="runs.parquet"' in parquet.headers["content-disposition"]
    file = tmp_path / "runs.parquet"
    file.write_bytes(parquet.content)
    db = duckdb.connect(":memory:")
    columns = ("run_id", "created_at", "run_ns", "tools_used", "cache_read_tokens", "metadata")
    rows = db.execute(f"SELECT {', '.join(columns)} FROM read_parquet('{file}')").fetchall()
    expected = [
        (
            run["run_id"],
            datetime.fromisoformat(run["created_at"]),
            run["run_ns"],
            run["tools_used"],
            run["cache_read_tokens"],
            run["metadata"],
        )
        for run in said
    ]
    assert [(*row[:-1], json.loads(row[-1])) for row in rows] == expected
    table = nanoarrow.ArrayStream(InputStream.from_readable(arrow)).read_all()
    assert [row["run_id"] for row in table.to_pylist()] == [run["run_id"] for run in said]
    assert [row["run_ns"] for row in table.to_pylist()] == [run["run_ns"] for run in said]


def test_a_file_has_the_columns_that_were_chosen(page: RunningServer) -> None:
    with page.client() as client:
        text = client.get("/runs.csv?columns=tokens&columns=error").text
        shown = client.get("/runs?columns=tokens&columns=error").text
    assert text.splitlines()[0] == "run_id,status,agent_id,total_tokens,error_type,error_message"
    heads = re.findall(r"<th[ >].*?</th>", shown, re.DOTALL)
    assert [bool(re.search(name, " ".join(heads))) for name in ("Tokens", "Error", "Steps")] == [
        True,
        True,
        False,
    ]


def test_two_runs_are_compared_in_both_directions(page: RunningServer) -> None:
    with page.client() as client:
        one, other = client.get("/runs.json?limit=2&statuses=completed").json()["runs"]
        left = client.get(f"/runs/compare.json?run={one['run_id']}&run={other['run_id']}").json()
        right = client.get(f"/runs/compare.json?run={other['run_id']}&run={one['run_id']}").json()
        alone = client.get(f"/runs/compare?run={one['run_id']}", headers={"Accept": "text/html"})
    assert left["runs"] == [one, other]
    steps = next(line for line in left["compared"] if line["name"] == "Steps")
    assert steps["difference"] == other["num_steps"] - one["num_steps"]
    for line, turned in zip(left["compared"], right["compared"], strict=True):
        assert line["values"] == turned["values"][::-1]
        if line["difference"] is not None:
            assert line["difference"] == -turned["difference"]
    assert alone.status_code == 422


def test_a_run_says_what_the_ledger_says_of_it(page: RunningServer) -> None:
    with page.client() as client:
        shown = client.get(f"/runs/{RICH}.json").json()
        assert shown["run"] == client.get(f"/api/v1/runs/{RICH}").json()
        assert shown["steps"] == client.get(f"/api/v1/runs/{RICH}/steps").json()
        assert shown["callback"] == client.get(f"/api/v1/runs/{RICH}/callback").json()
        assert len(shown["events"]) == shown["run"]["version"]


def test_a_step_shows_what_was_reported_the_buckets_and_the_rule(page: RunningServer) -> None:
    with page.client() as client:
        text = client.get(f"/runs/{RICH}").text
        step = client.get(f"/runs/{RICH}.json").json()["steps"][0]
    assert step["prompt_tokens_details"] == {"cached_tokens": 3, "cache_creation_tokens": 4}
    _, _, usage = text.partition('<div class="usage')
    usage, _, _ = usage.partition("</details></td>")
    assert '<span class="k">cached_tokens</span> <span class="n">3</span>' in usage
    for name in ("input_rule", "output_rule"):
        assert f"<dd>{step[name]}</dd>" in usage
    for bucket in ("fresh_input_tokens", "cache_read_tokens", "cache_write_tokens"):
        assert f"<dd>{step[bucket]}</dd>" in usage


def test_tools_that_were_called_at_once_are_told_so(empty: RunningServer) -> None:
    async def record() -> str:
        run = await empty.ledger.create_run("agent-a")
        calls = [
            {"id": f"call-{n}", "function": {"name": name, "arguments": '{"city": ["Oslo"]}'}}
            for n, name in enumerate(("weather", "news", "weather"))
        ]
        said = {"role": "assistant", "content": "I look.", "tool_calls": calls}
        await empty.ledger.record_step(run.run_id, messages=[said])
        alone = {"id": "call-9", "function": {"name": "book", "arguments": "{}"}}
        late = {"role": "assistant", "content": "Now.", "tool_calls": [alone]}
        at = datetime.now(UTC) + timedelta(minutes=1)
        await empty.ledger.record_step(run.run_id, messages=[late], at=at)
        return run.run_id

    run_id = empty.do(record())
    with empty.client() as client:
        text = client.get(f"/runs/{run_id}").text
    assert text.count("one of 3 that were called at once") == 3
    assert text.count("called at once") == 3
    assert text.count('<span class="k">city</span>') == 3


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
        ("/runs?where=statsu%20%3D%201", 422, "did you mean status"),
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
