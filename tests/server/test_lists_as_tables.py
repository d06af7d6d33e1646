"""Lists as tables: `Accept` names the form, and the rows are those of the list."""

import csv
import io
import json
from pathlib import Path

import duckdb
import nanoarrow
import pytest
from nanoarrow.ipc import InputStream
from running import RunningServer

from runledger.server.tables import MEDIA, TABLES, accepted

pytestmark = pytest.mark.one_database

RUNS = "/api/v1/runs?order_by=created_at&limit=3"


@pytest.mark.parametrize(
    ("accept", "answered"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("text/csv", "text/csv"),
        ("Text/*", "text/csv"),
        ("text/html, application/xhtml+xml, */*;q=0.8", "application/json"),
        ("application/json;q=0.1, text/csv;q=0.2", "text/csv"),
        ("text/csv;q=0, application/x-ndjson;q=0.001", "application/x-ndjson"),
        ("text/csv;q=often", "application/json"),
        ("image/png", "application/json"),
        (MEDIA["arrow"], MEDIA["arrow"]),
    ],
)
def test_a_request_chooses_the_form_that_it_prefers(accept: str, answered: str) -> None:
    assert accepted(accept, TABLES) == answered


@pytest.mark.parametrize(
    "path", [RUNS, "/api/v1/steps", "/api/v1/usage?by=agent", "/api/v1/percentiles?by=agent"]
)
def test_every_form_has_the_rows_of_the_list(
    sample: RunningServer, tmp_path: Path, path: str
) -> None:
    with sample.client() as client:
        answer = client.get(path)
        said = answer.json() if isinstance(answer.json(), list) else answer.json()["data"]
        found = {form: client.get(path, headers={"Accept": media}) for form, media in MEDIA.items()}
    assert said
    columns = list(said[0])
    for form, table in found.items():
        assert table.headers["content-type"].partition(";")[0] == MEDIA[form]
        assert table.headers["vary"] == "Accept"
        for name in ("link", "runledger-position"):
            assert table.headers.get(name) == answer.headers.get(name)
    assert [json.loads(line) for line in found["jsonl"].text.splitlines()] == said
    rows = list(csv.DictReader(io.StringIO(found["csv"].text)))
    assert rows == [{name: _cell(row[name]) for name in columns} for row in said]
    (file := tmp_path / "rows.parquet").write_bytes(found["parquet"].content)
    parquet = duckdb.connect(":memory:").sql(f"FROM read_parquet('{file}')")
    assert parquet.columns == columns
    stream = InputStream.from_readable(found["arrow"].content)
    arrow = nanoarrow.ArrayStream(stream).read_all().to_pylist()
    for name in [name for name in ("run_id", "agent_id", "step_id") if name in columns]:
        expected = [row[name] for row in said]
        assert [row[parquet.columns.index(name)] for row in parquet.fetchall()] == expected
        assert [row[name] for row in arrow] == expected


def _cell(value: object) -> str:
    if value is None:
        return ""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else str(value)


def test_a_list_without_rows_is_a_table_with_columns(sample: RunningServer) -> None:
    with sample.client() as client:
        path = "/api/v1/runs?agent_id=agent-none"
        text = client.get(path, headers={"Accept": "text/csv"}).text
        arrow = client.get(path, headers={"Accept": MEDIA["arrow"]}).content
    assert text.startswith("run_id,")
    assert text.count("\n") == 1
    assert nanoarrow.ArrayStream(InputStream.from_readable(arrow)).read_all().to_pylist() == []


def test_a_view_is_used_by_its_name(server: RunningServer) -> None:
    do, ledger = server.do, server.ledger
    kept = do(ledger.create_run("agent-a", metadata={"team": "red"}))
    done = do(ledger.create_run("agent-a", metadata={"team": "red"}))
    do(ledger.record_step(kept.run_id, total_tokens=7))
    do(ledger.complete_run(done.run_id))
    do(ledger.create_run("agent-a"))
    do(ledger.save_view("red", "metadata.team = 'red'"))
    do(ledger.save_view("counted", "SELECT count(*) FROM runs", kind="sql"))

    with server.client() as client:
        found = client.get("/api/v1/runs?view=red&limit=1").json()
        assert [run["run_id"] for run in found["data"]] == [done.run_id]
        following = client.get(found["next"]).json()
        assert [run["run_id"] for run in following["data"]] == [kept.run_id]
        both = {"view": "red", "where": "status = 'running'"}
        narrowed = client.get("/api/v1/runs", params=both).json()["data"]
        assert [run["run_id"] for run in narrowed] == [kept.run_id]
        (total,) = client.get("/api/v1/usage", params=both).json()
        assert total["total_tokens"] == 7
        (spans,) = client.get("/api/v1/percentiles?view=red").json()
        assert spans["runs"] == 1
        for path in ("runs", "usage", "percentiles"):
            unknown = client.get(f"/api/v1/{path}?view=rde")
            assert (unknown.status_code, "did you mean red" in unknown.text) == (404, True)
            assert client.get(f"/api/v1/{path}?view=counted").status_code == 422
