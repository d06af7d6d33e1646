"""SQL: in a process of its own, that reads nothing but the copy and ends in time."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from running import RunningServer

from runledger.server.keys import Keyring

pytestmark = [pytest.mark.slow, pytest.mark.one_database]

Start = Callable[..., RunningServer]


def _ask(server: RunningServer, statement: str, accept: str = "*/*", **more: Any) -> Any:
    with server.client() as client:
        return client.post(
            "/api/v1/sql", json={"statement": statement, **more}, headers={"Accept": accept}
        )


def test_it_answers_what_the_ledger_answers(sample: RunningServer) -> None:
    statement = "SELECT run_id, status, created_at FROM runs ORDER BY run_id"
    columns, rows = sample.do(sample.ledger.sql(statement))
    answer = _ask(sample, statement)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told["columns"] == columns
    assert [row[:2] for row in told["rows"]] == [list(row[:2]) for row in rows]
    assert told["position"] == sample.ledger.store.head()
    assert not told["truncated"]
    lines = _ask(sample, statement, "application/x-ndjson").text.splitlines()
    assert len(lines) == len(rows)
    table = _ask(sample, statement, "text/csv").text.splitlines()
    assert table[0] == "run_id,status,created_at"
    assert len(table) == len(rows) + 1


def test_every_kind_of_value_is_json(sample: RunningServer) -> None:
    answer = _ask(
        sample,
        "SELECT 'NaN'::DOUBLE AS a, 1.5::DECIMAL(3,1) AS b, TIMESTAMP '2026-01-01' AS c, [1, NULL] AS d,"
        " {'k': 'inf'::DOUBLE} AS e, '\\xAA'::BLOB AS f, 2::HUGEINT AS g, NULL AS h, uuid() AS a",
    )
    assert answer.status_code == 200, answer.text
    row = answer.json()["rows"][0]
    assert row[:8] == [None, "1.5", "2026-01-01T00:00:00", [1, None], {"k": None}, "aa", 2, None]


def test_the_past_is_asked_too(server: RunningServer) -> None:
    server.do(server.ledger.create_run("agent-a"))
    then = server.ledger.store.head()
    server.do(server.ledger.create_run("agent-a"))
    answer = _ask(server, "SELECT count(*) FROM runs", as_of=then)
    assert answer.json()["rows"] == [[1]]
    assert answer.headers["runledger-position"] == str(then)


def test_many_rows_are_cut_and_it_says_so(sample: RunningServer) -> None:
    answer = _ask(sample, "SELECT * FROM range(20000)")
    assert len(answer.json()["rows"]) == 10_000
    assert answer.json()["truncated"]
    assert answer.headers["runledger-truncated"] == "true"
    large = _ask(sample, "SELECT repeat('x', 1000000) FROM range(100)")
    assert large.json()["truncated"]
    assert len(large.content) <= 16 << 20


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM read_blob('/etc/passwd')",
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM sniff_csv('/etc/passwd')",
        "FROM '/etc/passwd'",
        "SELECT * FROM '/tmp/x.parquet'",
        "SELECT * FROM read_parquet('http://127.0.0.1:1/x')",
        "ATTACH '/tmp/other.duckdb'",
        "COPY runs TO '/tmp/stolen.csv'",
        "COPY (SELECT 1) TO '/tmp/stolen.csv'",
        "EXPORT DATABASE '/tmp/stolen'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET memory_limit='10GB'",
        "SET enable_external_access=true",
        "RESET memory_limit",
        "PRAGMA database_list",
        "CREATE SECRET (TYPE s3)",
        "CREATE TABLE t (a INT)",
        "INSERT INTO runs SELECT * FROM runs",
        "DELETE FROM runs",
        "DROP TABLE runs",
        "CALL pragma_version()",
        "SELECT getenv('HOME')",
        "SELECT 1; SELECT 2",
        "SELECT 1; COPY runs TO '/tmp/stolen.csv'",
        "WITH a AS (DELETE FROM runs RETURNING *) SELECT * FROM a",
        "EXPLAIN ANALYZE COPY runs TO '/tmp/stolen.csv'",
        "",
        "SELECT",
        "\x00",
        "SELECT query('SELECT 1')",
    ],
)
def test_nothing_else_is_read_or_written(sample: RunningServer, statement: str) -> None:
    before = set(Path("/tmp").glob("stolen*"))
    answer = _ask(sample, statement)
    assert answer.status_code == 422, answer.text
    assert "root:" not in answer.text
    assert set(Path("/tmp").glob("stolen*")) == before


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT count(*) FROM range(100000000) a, range(100000000) b",
        "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT max(n) FROM t",
        "SELECT length(repeat('x', 2000000000))",
        "SELECT sum(n) FROM (SELECT unnest(range(2000000000)) AS n)",
        "SELECT list_sum(list_transform(range(100000000), lambda x: x + 1))",
        "SELECT " + "(" * 20_000 + "1" + ")" * 20_000,
    ],
    ids=["cross", "recursive", "repeat", "range", "transform", "nested"],
)
def test_what_would_take_everything_ends_in_time(sample: RunningServer, statement: str) -> None:
    process = psutil.Process()
    _ask(sample, "SELECT 1")
    memory = process.memory_info().rss
    begun = time.monotonic()
    answer = _ask(sample, statement, timeout_s=4)
    assert answer.status_code in (422, 503)
    # It would take hours; how late the end of a process is seen, a busy machine decides.
    assert time.monotonic() - begun < 120
    assert process.memory_info().rss - memory < 100 << 20
    assert not process.children(recursive=True) or all(
        "sql_child" not in " ".join(child.cmdline()) for child in process.children(recursive=True)
    )
    assert _ask(sample, "SELECT 1").json()["rows"] == [[1]]


def test_it_is_for_the_keys_of_all_organizations(server: RunningServer) -> None:
    keyring = Keyring(server.ledger.store)
    one = keyring.create(name="one", organization="org-a").text
    every = keyring.create(name="every", organization="*").text
    with server.client() as client:
        for text, status in ((one, 403), (every, 200)):
            answer = client.post(
                "/api/v1/sql",
                json={"statement": "SELECT 1"},
                headers={"Authorization": f"Bearer {text}"},
            )
            assert answer.status_code == status


def test_no_copy_is_left(start: Start) -> None:
    server = start()
    assert _ask(server, "SELECT 1").status_code == 200
    folder = server.services.sql._folder
    assert folder is not None
    assert folder.exists()
    server.stop()
    assert not folder.exists()
