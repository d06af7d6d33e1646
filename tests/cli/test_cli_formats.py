"""Every list in every format: the same rows, for people, programs and tools that read tables."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import duckdb
import nanoarrow
import pytest
from command_line import RUN, Command
from nanoarrow.ipc import InputStream
from typer.testing import CliRunner

from runledger.cli.main import app

pytestmark = pytest.mark.slow

LISTS = {
    "runs": ("runs", "list"),
    "usage": ("usage",),
    "percentiles": ("percentiles", "--by", "agent"),
    "agents": ("agents",),
    "callbacks": ("callbacks", "list"),
}


@pytest.fixture(params=LISTS)
def words(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """The command of each list in turn."""
    return LISTS[request.param]


def _bytes(folder: Path, *words: str) -> bytes:
    settings = {
        "RUNLEDGER_STORE": f"sqlite:///{folder}/runs.db",
        "RUNLEDGER_READ_MODELS": str(folder / "runs.duckdb"),
    }
    done = CliRunner().invoke(app, list(words), env=settings)
    assert done.exit_code == 0, done.output
    return done.stdout_bytes


def _key(row: dict[str, Any]) -> dict[str, Any]:
    names = ("run_id", "agent_id", "model", "status", "steps", "runs", "prompt_tokens", "p50")
    return {name: row[name] for name in names if name in row}


def test_every_format_has_the_same_rows(
    runledger: Command, runs: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    expected = runledger(*words, "--format", "json").json
    assert expected == runledger(*words, "--json").json
    lines = runledger(*words, "--format", "jsonl").out.splitlines()
    assert [_key(json.loads(line)) for line in lines] == [_key(row) for row in expected]
    table = list(csv.DictReader(io.StringIO(runledger(*words, "--format", "csv").out)))
    assert [row.get("agent_id", "") for row in table] == [
        row.get("agent_id") or "" for row in expected
    ]
    markdown = runledger(*words, "--format", "markdown").out.splitlines()
    assert len(markdown) == len(expected) + 2
    assert {line.replace("\\|", "").count("|") for line in markdown} == {markdown[1].count("|")}
    path = tmp_path / "rows.parquet"
    path.write_bytes(_bytes(runs, *words, "--format", "parquet"))
    found = duckdb.connect().read_parquet(str(path))
    rows = [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]
    assert [_key(row) for row in rows] == [_key(row) for row in expected]
    stream = InputStream.from_readable(io.BytesIO(_bytes(runs, *words, "--format", "arrow")))
    arrow = nanoarrow.Array(nanoarrow.c_array_stream(stream)).to_pylist() if expected else []
    assert [_key(row) for row in arrow] == [_key(row) for row in expected]


def test_all_is_every_page(runledger: Command, runs: Path) -> None:
    found = runledger("runs", "list", "--all", "--ascending", "--format", "jsonl")
    ids = [json.loads(line)["run_id"] for line in found.out.splitlines()]
    assert ids == [RUN.format(n) for n in (1, 2, 3)]
    for option in (("--limit", "3"), ("--after", RUN.format(1))):
        assert runledger("runs", "list", "--all", *option).code == 2


@pytest.mark.parametrize("form", ["xml", "", "JSON"])
def test_an_unknown_format_is_refused(runledger: Command, form: str) -> None:
    refused = runledger("usage", "--format", form)
    assert refused.code == 2
    assert "expected one of table, json, jsonl, csv, parquet, arrow, markdown" in refused.err


def test_two_formats_are_refused(runledger: Command) -> None:
    assert runledger("usage", "--format", "csv", "--json").code == 2


def test_a_list_without_rows_has_its_columns(runledger: Command, runs: Path) -> None:
    none = ("usage", "--model", "none")
    assert runledger(*none, "--format", "csv").out.startswith("project_id,agent_id,model,day,steps")
    assert runledger(*none, "--format", "json").json == []
    assert _bytes(runs, *none, "--format", "parquet").startswith(b"PAR1")
