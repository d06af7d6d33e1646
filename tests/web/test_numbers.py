"""The numbers of a view are those of its rows, and of the server's own interface."""

import json
import re
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import duckdb
import nanoarrow
import pytest
from nanoarrow.ipc import InputStream
from running import RunningServer
from views import ENDLESS, until

from projections.queries.sql_process import SqlLimits
from runledger.server.limits import Limits
from runledger.web.mount import mount_page

pytestmark = pytest.mark.slow


def shown(page: RunningServer, path: str) -> Any:
    with page.client() as client:
        answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


def said(page: RunningServer, path: str) -> Any:
    return shown(page, f"/api/v1/{path}")


def test_one_of_a_group_is_its_row_and_its_runs(page: RunningServer) -> None:
    runs = shown(page, "/runs.json?limit=1000")["runs"]
    steps = {run["run_id"]: said(page, f"runs/{run['run_id']}/steps") for run in runs}
    owns: dict[str, Any] = {
        "agents": lambda run, name: run["agent_id"] == name,
        "conversations": lambda run, name: run["conversation_id"] == name,
        "tools": lambda run, name: name in run["tools_used"],
        "models": lambda run, name: any(step["model"] == name for step in steps[run["run_id"]]),
    }
    for group, own in owns.items():
        rows = [row for row in shown(page, f"/{group}.json")[group] if row["value"] is not None]
        assert rows
        for row in rows:
            query = urlencode({"name": row["value"]})
            one = shown(page, f"/{group}/one.json?{query}")
            assert one[group.removesuffix("s")] == row
            mine = [run for run in runs if own(run, row["value"])]
            assert one["groups"]["runs"] == row["runs"] == len(mine)
            listed = [run["run_id"] for run in mine[:20]]
            assert [run["run_id"] for run in one["latest"]] == listed
            failed = sum(run["status"] == "failed" for run in mine)
            assert sum(error["runs"] for error in one["errors"]) == failed
            timed = sum(bucket["runs"] for bucket in one["durations"])
            if group in ("agents", "conversations"):
                assert timed == sum(run["run_ns"] is not None for run in mine)


def test_one_that_is_not_there_is_not_found(page: RunningServer) -> None:
    with page.client() as client:
        for group in ("agents", "conversations", "tools", "models"):
            assert client.get(f"/{group}/one?name=nothing").status_code == 404


def test_sql_answers_as_the_server_does(page: RunningServer) -> None:
    statement = "SELECT status, count(*) AS n FROM runs GROUP BY 1 ORDER BY 1"
    with page.client() as client:
        answer = client.get("/sql.json", params={"statement": statement}).json()["answer"]
        same = client.post("/api/v1/sql", json={"statement": statement}).json()
        file = client.get("/sql.csv", params={"statement": statement}).text
        lines = client.get("/sql.jsonl", params={"statement": statement}).text.splitlines()
    assert answer == same
    assert file.splitlines()[1:] == [f"{status},{n}" for status, n in same["rows"]]
    assert [json.loads(line) for line in lines] == [
        {"status": status, "n": n} for status, n in same["rows"]
    ]


def test_a_file_of_an_answer_has_every_column_and_row(page: RunningServer, tmp_path: Path) -> None:
    twice = "SELECT count(*) AS n, max(num_steps) AS n, 'é' AS word FROM runs"
    file = tmp_path / "answer.parquet"
    with page.client() as client:
        ((count, most, word),) = client.get("/sql.json", params={"statement": twice}).json()[
            "answer"
        ]["rows"]
        file.write_bytes(client.get("/sql.parquet", params={"statement": twice}).content)
        lines = client.get("/sql.jsonl", params={"statement": twice}).json()
        arrow = client.get("/sql.arrow", params={"statement": "SELECT 1 AS a LIMIT 0"}).content
    rows = duckdb.connect(":memory:").execute(f"FROM read_parquet('{file}')").fetchall()
    assert rows == [(count, most, word)]
    assert lines == {"n": count, "n_1": most, "word": word}
    table = nanoarrow.ArrayStream(InputStream.from_readable(arrow))
    assert [field.name for field in table.schema.fields] == ["a"]
    assert table.read_all().to_pylist() == []


def test_sql_that_is_refused_is_told_beside_the_question(page: RunningServer) -> None:
    with page.client() as client:
        answer = client.get("/sql", params={"statement": "DROP TABLE runs"})
    assert answer.status_code == 422
    assert "DROP TABLE runs" in answer.text
    assert 'role="alert"' in answer.text


def test_an_answer_is_drawn_by_each_column_of_numbers(page: RunningServer) -> None:
    asked = "SELECT agent_id, count(*) AS n, avg(num_steps) + 0.25 AS steps FROM runs GROUP BY 1"
    with page.client() as client:
        rows = client.get("/sql.json", params={"statement": asked}).json()["answer"]["rows"]
        counts = client.get("/sql", params={"statement": asked}).text
        steps = client.get("/sql", params={"statement": asked, "bars": "2"}).text
        single = client.get("/sql", params={"statement": "SELECT 'a' AS a, 1 AS b"}).text
    assert len(rows) > 1
    for agent, n, average in rows:
        assert f"<title>{agent}: {n:,}</title>" in counts
        said = re.search(f"<title>{agent}: (.*?)</title>", steps)
        assert said is not None
        # The words have three digits.
        assert float(said[1]) == pytest.approx(average, rel=0.01)
    assert 'class="plot' not in single


def test_a_question_with_a_name_is_an_address(page: RunningServer) -> None:
    with page.client() as client:
        text = client.get("/sql", params={"statement": "SELECT 1 AS a", "name": "One <b>"}).text
    assert "<title>One &lt;b&gt; · runledger</title>" in text
    assert "<bdi>One &lt;b&gt;</bdi></h1>" in text


@pytest.mark.slow
def test_a_question_ends_with_the_connection_of_the_browser(tmp_path: Path) -> None:
    store, limits = f"sqlite:///{tmp_path}/runs.db", Limits(answer_seconds=900)
    with RunningServer(
        store, tmp_path / "runs.duckdb", limits=limits, prepare=mount_page
    ) as server:
        server.do(server.ledger.create_run("agent-a"))
        desk = server.services.sql
        # Only the end of the connection can end it in the time of this test.
        desk._limits = SqlLimits(seconds=800)
        asked = urlencode({"statement": ENDLESS})
        request = f"GET /sql?{asked} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n"
        with socket.create_connection(("127.0.0.1", server.port)) as browser:
            browser.sendall(request.encode())
            until(lambda: desk._waiting == 1)
        until(lambda: desk._waiting == 0)
        assert desk.killed == 0
        with server.client() as client:
            again = client.get("/sql.json", params={"statement": "SELECT 1 AS a"})
    assert again.status_code == 200, again.text
    assert again.json()["answer"]["rows"] == [[1]]
