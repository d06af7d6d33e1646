"""Each command on real runs: what people read, what programs read."""

import csv
import io
import json
from importlib.metadata import version
from pathlib import Path

import pytest
from command_line import RUN, STEP, Command


def test_runs_list_shows_the_newest_first(runledger: Command, runs: Path) -> None:
    found = runledger("runs", "list", "--json")
    assert found.code == 0
    assert [run["run_id"] for run in found.json] == [RUN.format(n) for n in (3, 2, 1)]


def test_runs_list_is_a_table_for_people(runledger: Command, runs: Path) -> None:
    lines = runledger("runs", "list", "--status", "completed").out.splitlines()
    assert lines[0].split()[:4] == ["run_id", "agent_id", "status", "duration"]
    assert lines[2].split()[:5] == [RUN.format(1), "agent-a", "completed", "2.50", "s"]


@pytest.mark.slow
def test_every_filter_reaches_the_query(runledger: Command, runs: Path) -> None:
    first, second, third = (RUN.format(n) for n in (1, 2, 3))
    expectations = {
        ("--run-id", second): [second],
        ("--agent-id", "agent-a"): [second, first],
        ("--agent-id", "agent-a", "--agent-id", "agent-b"): [third, second, first],
        ("--status", "failed", "--status", "running"): [third, second],
        ("--stop-reason", "error"): [second],
        ("--background",): [],
        ("--foreground",): [third, second, first],
        ("--template-family", "t"): [],
        ("--project-id", "p"): [],
        ("--conversation-id", "conv-1"): [],
        ("--tool", "search"): [first],
        ("--step-count", "1"): [first],
        ("--step-count", "0", "--step-count-operator", "gte"): [third, second, first],
        ("--duration", "1s"): [first],
        ("--duration", "10us", "--duration-operator", "eq"): [second],
        ("--duration-percentile", "90"): [first],
        ("--feedback", "positive"): [],
        ("--start-date", "2000-01-01"): [third, second, first],
        ("--end-date", "2000-01-01T00:00:00Z"): [],
        ("--order-by", "duration"): [first, second],
        ("--ascending",): [first, second, third],
        ("--limit", "1"): [third],
        ("--after", second): [first],
        ("--before", second): [third],
    }
    for words, expected in expectations.items():
        found = runledger("runs", "list", *words, "--json")
        assert [run["run_id"] for run in found.json] == expected, words


def test_runs_show_tells_steps_and_messages(runledger: Command, runs: Path) -> None:
    found = runledger("runs", "show", RUN.format(1), "--messages", "--json").json
    assert found["run"]["status"] == "completed"
    assert [step["step_id"] for step in found["steps"]] == [STEP]
    assert [message["role"] for message in found["messages"]] == ["user", "assistant"]
    text = runledger("runs", "show", RUN.format(1), "--messages").out
    assert "hello" in text
    assert "calls search({})" in text
    assert "812" in text


def test_runs_show_needs_no_read_models(runledger: Command, runs: Path) -> None:
    assert runledger("runs", "show", RUN.format(1)).code == 0
    assert not (runs / "runs.duckdb").exists()


def test_what_an_agent_wrote_cannot_steer_the_terminal(runledger: Command, runs: Path) -> None:
    shown = runledger("runs", "show", RUN.format(2)).out
    assert "\x1b" not in shown
    assert "broke" in shown


def test_cancel_says_what_came_of_it(runledger: Command, runs: Path) -> None:
    assert runledger("runs", "cancel", RUN.format(3)).out == f"{RUN.format(3)} cancelled\n"
    again = runledger("runs", "cancel", RUN.format(1), "--json").json
    assert (again["outcome"], again["run"]["status"]) == ("already_ended", "completed")


def test_delete_asks_first(runledger: Command, runs: Path) -> None:
    assert runledger("runs", "delete", RUN.format(3), input="n\n").code == 1
    assert runledger("runs", "show", RUN.format(3)).code == 0
    assert runledger("runs", "delete", RUN.format(3), "--yes").code == 0
    assert runledger("runs", "show", RUN.format(3)).code == 1


def test_usage_totals_are_grouped(runledger: Command, runs: Path) -> None:
    (row,) = runledger("usage", "--by", "model", "--by", "agent", "--json").json
    assert (row["model"], row["agent_id"]) == ("gpt-4.1", "agent-a")
    assert (row["prompt_tokens"], row["fresh_input_tokens"], row["cache_read_tokens"]) == (
        812,
        300,
        512,
    )
    assert row["reasoning_tokens"] is None
    assert runledger("usage", "--until", "2000-01-01", "--json").json == []
    assert "gpt-4.1" in runledger("usage").out


@pytest.mark.slow
def test_percentiles_are_over_ended_runs(runledger: Command, runs: Path) -> None:
    (row,) = runledger("percentiles", "--json").json
    assert (row["runs"], row["p50"]) == (2, (2_500_000_000 + 10_000) / 2)
    assert [r["agent_id"] for r in runledger("percentiles", "--by", "agent", "--json").json] == [
        "agent-a"
    ]
    assert "1.25 s" in runledger("percentiles").out


def test_agents_are_listed_with_their_last_run(runledger: Command, runs: Path) -> None:
    found = {row["agent_id"]: row for row in runledger("agents", "--json").json}
    assert found["agent-a"]["last_stop_reason"] == "error"
    assert found["agent-b"]["last_run_id"] == RUN.format(3)
    assert "agent-b" in runledger("agents", "--agent-id", "agent-b").out


def test_sql_answers_as_table_json_and_csv(runledger: Command, runs: Path) -> None:
    question = "SELECT status, count(*) AS n, [1] AS l FROM runs GROUP BY ALL ORDER BY ALL"
    rows = runledger("sql", question, "--json").json
    assert rows[0] == {"status": "completed", "n": 1, "l": [1]}
    printed = list(csv.reader(io.StringIO(runledger("sql", question, "--csv").out)))
    assert printed[:2] == [["status", "n", "l"], ["completed", "1", "[1]"]]
    assert runledger("sql", question, "--csv", env={"RUNLEDGER_JSON": "1"}).out[:8] == "status,n"
    assert "NULL" in runledger("sql", "SELECT NULL AS x").out
    assert runledger("sql", "--json", input="SELECT 1 AS one").json == [{"one": 1}]


def test_json_has_null_where_a_number_is_none(runledger: Command, runs: Path) -> None:
    asked = "SELECT 1 / 0 AS z, -1 / 0 AS y, ['nan'::DOUBLE, 1.5] AS l, TIMESTAMP '2026-01-01' AS t"
    (row,) = json.loads(runledger("sql", asked, "--json").out, parse_constant=pytest.fail)
    assert row == {"z": None, "y": None, "l": [None, 1.5], "t": "2026-01-01T00:00:00"}
    assert runledger("sql", asked, "--csv").out.splitlines()[1].startswith('inf,-inf,"[null, 1.5]"')


def test_columns_of_one_name_are_told_apart_in_json(runledger: Command, runs: Path) -> None:
    asked = "SELECT 1 AS a, 2 AS a, 3 AS a_1, 4 AS a"
    (row,) = runledger("sql", asked, "--json").json
    assert row == {"a": 1, "a_1": 2, "a_1_1": 3, "a_2": 4}
    assert runledger("sql", asked, "--csv").out.splitlines()[0] == "a,a,a_1,a"


def test_the_version_is_that_of_the_package(runledger: Command, tmp_path: Path) -> None:
    assert runledger("--version").out == f"runledger {version('run-event-ledger')}\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_sql_writes_rows_as_they_come(runledger: Command, runs: Path) -> None:
    asked = "SELECT repeat('x', 1000), CASE WHEN i < 11999 THEN i ELSE error('the last') END"
    for form, begun in (("--json", '[\n  {\n    "'), ("--csv", "\"repeat('x'")):
        ended = runledger("sql", form, f"{asked} AS i FROM range(12000) AS t(i)")
        assert ended.code == 1
        assert "the last" in ended.err
        assert ended.out.startswith(begun)
        assert not ended.out.endswith("]\n")


def test_json_of_rows_is_json_of_their_list(runledger: Command, runs: Path) -> None:
    for asked in (
        "SELECT 1 WHERE false",
        "SELECT 'a\nb' AS \"ü\", [1, 2] AS n, NULL FROM range(1001)",
    ):
        printed = runledger("sql", "--json", asked)
        assert printed.out == json.dumps(printed.json, ensure_ascii=False, indent=2) + "\n"


def test_sql_cannot_write(runledger: Command, runs: Path) -> None:
    refused = runledger("sql", "DELETE FROM runs")
    assert refused.code == 1
    assert "expected one SELECT" in refused.err
    assert len(runledger("runs", "list", "--json").json) == 3


def test_project_tells_the_position(runledger: Command, runs: Path) -> None:
    found = runledger("project", "--json").json
    assert found["position"] > 0
    assert f"position {found['position']:,}" in runledger("project").out


@pytest.mark.slow
def test_expire_ends_silent_runs(runledger: Command, runs: Path) -> None:
    assert runledger("expire", "--older-than", "1h", "--json").json["runs"] == []
    assert runledger("expire", "--older-than", "0s", "--json").json["runs"] == [RUN.format(3)]
    shown = runledger("runs", "show", RUN.format(3), "--json").json["run"]
    assert (shown["status"], shown["error_type"]) == ("failed", "lost")
    assert runledger("expire", "--approvals").out == "0 runs, 0 approvals expired\n"


@pytest.mark.slow
def test_demo_shows_every_fate_and_runs_twice(runledger: Command, tmp_path: Path) -> None:
    words = ("demo", "--directory", str(tmp_path / "demo"))
    text = runledger(*words).out
    for word in ("completed", "failed", "cancelled", "running", "requires_approval", "max_steps"):
        assert word in text
    assert "p95" in text
    assert "runs list --status failed" in text
    again = runledger(*words, "--json").json
    assert len(again["runs"]) == 40
    assert sum(row["runs"] for row in again["percentiles"]) == 2 * 34
