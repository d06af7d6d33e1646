"""An error is one line on stderr that names what was expected and found."""

import subprocess
import sys
from pathlib import Path

import pytest
from command_line import RUN, Command


def _one_line(text: str) -> bool:
    return text.startswith("runledger: ") and text.count("\n") == 1


def _backwards(begin: str, end: str) -> tuple[str, ...]:
    return begin, "2025-08-02", end, "2025-08-01"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("runs", "list", "--store", "sqlite:///nowhere/runs.db"), "no such directory"),
        (("runs", "show", RUN.format(9), "--store", "sqlite:///nowhere.db"), "no such file"),
        (
            ("usage", "--store", "postgresql://nobody@127.0.0.1:1/none?connect_timeout=2"),
            "127.0.0.1",
        ),
        (("runs", "show", RUN.format(9)), "not found"),
        (("runs", "list", "--after", RUN.format(9)), "cursor"),
        (("sql", "SELECT nothing FROM nowhere"), "nowhere"),
        (("sql", "SELECT 1; SELECT 2"), "expected one SELECT"),
    ],
)
def test_a_refusal_is_one_line_and_exit_code_1(
    runledger: Command, runs: Path, words: tuple[str, ...], said: str
) -> None:
    refused = runledger(*words)
    assert refused.code == 1
    assert _one_line(refused.err), refused.err
    assert said in refused.err
    assert refused.out == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("runs", "list", "--limit", "many"), "valid integer"),
        (("runs", "list", "--store", "mysql://x"), "'--store': store: expected sqlite:///"),
        (("doctor", "--store", "runs.db"), "archive:folder to read, found 'runs.db'"),
        (("runs", "list", "--organization", "a b"), "'--organization': Invalid organization ID"),
        (("runs", "show", "run-1"), "'RUN_ID': Invalid run ID format: 'run-1'"),
        (("runs", "cancel", "run-1"), "Expected format: 'run-<uuid4>'"),
        (("runs", "delete", "run-1", "--yes"), "Expected format: 'run-<uuid4>'"),
        (("runs", "list", "--status", "dead"), "'--status': expected any of created, running"),
        (("runs", "list", "--stop-reason", "bored"), "'--stop-reason': expected any of end_turn"),
        (("runs", "list", "--order-by", "mood"), "'--order-by': expected any of created_at"),
        (("runs", "list", "--limit", "0"), "'--limit'"),
        (("runs", "list", "--limit", "1001"), "less than or equal to 1000"),
        (("runs", "list", "--step-count", "-1"), "'--step-count'"),
        (("runs", "list", "--duration-percentile", "101"), "'--duration-percentile'"),
        (("runs", "list", "--after", RUN.format(1), "--before", RUN.format(2)), "found both"),
        (
            ("runs", "list", "--step-count", "1", "--step-count-operator", "ne"),
            "'--step-count-operator': expected any of eq, gt, gte, lt, lte, found 'ne'",
        ),
        (("usage", "--by", "mood"), "expected any of project, agent, model, day, found 'mood'"),
        (("percentiles", "--by", "model"), "expected any of project, agent, day, found 'model'"),
        (("callbacks", "list", "--status", "late"), "expected any of pending, delivered, failed"),
        (("callbacks", "list", "--limit", "0"), "'--limit'"),
        (("callbacks", "list", "--from", "0001-01-01"), "--from: expected a time from 1900"),
        (("callbacks", "show", "run-1"), "Expected format: 'run-<uuid4>'"),
        (("callbacks", "redeliver", "--run", "run-1"), "'--run': Invalid run ID format"),
        (("replay", "--max-changed", "some"), "'--max-changed': expected a share like 0.1%"),
        (("replay", "--run", "run-1"), "'--run': Invalid run ID format"),
        (("replay", "--explain-run", "run-1"), "'--explain-run': Invalid run ID format"),
        (("replay", "--events-of-type", "run.flown"), "run.completed"),
        (("export", "jsonl", "--after", "-1"), "'--after'"),
        (("expire", "--older-than", "99999999999d"), "'--older-than': expected 36500 days at"),
        (("runs", "list", "--duration", "soon"), "'--duration': expected a duration such as"),
        (("runs", "list", "--start-date", "yesterday"), "'--start-date': expected a time such as"),
        (("usage", "--since", "1.8.2025"), "'--since': expected a day such as"),
        (("callbacks", "list", "--to", "soon"), "'--to': expected a time such as"),
        (("agents", "--as-of", "then"), "'--as-of': expected a time such as"),
        (("expire", "--older-than", "1"), "'--older-than': expected a duration such as"),
        (("runs", "list", "--duration-operator", "lt"), "expected --duration beside"),
        (("runs", "list", "--step-count-operator", "gt"), "expected --step-count beside"),
        (("sql", "--json", "--csv", "SELECT 1"), "expected --json or --csv, found both"),
        (("expire",), "--older-than"),
        (("usage", *_backwards("--since", "--until")), "--since 2025-08-02 and --until 2025-08-01"),
        (("percentiles", *_backwards("--since", "--until")), "no end before the beginning"),
        (("runs", "list", *_backwards("--start-date", "--end-date")), "--start-date 2025-08-02"),
        (("callbacks", "list", *_backwards("--from", "--to")), "an end beyond the beginning"),
        (("callbacks", "redeliver", *_backwards("--from", "--to")), "--from 2025-08-02"),
        (("replay", *_backwards("--since", "--until")), "an end beyond the beginning"),
        (("runs", "show"), "RUN_ID"),
        (("runs", "list", "--no-such-option"), "no-such-option"),
        (("dance",), "dance"),
    ],
)
def test_wrong_use_is_exit_code_2(
    runledger: Command, runs: Path, words: tuple[str, ...], said: str
) -> None:
    refused = runledger(*words)
    assert refused.code == 2
    assert said in refused.err


def test_asking_makes_no_store(runledger: Command, tmp_path: Path) -> None:
    assert runledger("runs", "list").code == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_read_models_held_by_another_process_are_named_with_it(
    runledger: Command, runs: Path
) -> None:
    path = runs / "runs.duckdb"
    assert runledger("project").code == 0
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import duckdb, sys; db = duckdb.connect({str(path)!r}); print('held', flush=True); "
            "sys.stdin.read()",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        refused = runledger("runs", "list")
        assert refused.code == 1
        assert _one_line(refused.err)
        assert f"process {holder.pid}" in refused.err
        assert runledger("runs", "show", RUN.format(1)).code == 0
        found = {check["name"]: check for check in runledger("doctor", "--json").json}
        assert found["read models"]["state"] == "note"
    finally:
        holder.communicate()


def test_a_file_that_is_no_read_model_is_refused(runledger: Command, runs: Path) -> None:
    (runs / "runs.duckdb").write_text("not DuckDB at all")
    refused = runledger("usage")
    assert refused.code == 1
    assert _one_line(refused.err)
    assert "runs.duckdb" in refused.err


def test_a_bug_is_not_hidden(runledger: Command, runs: Path, monkeypatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr("runledger.RunLedger.list_agents", broken)
    with pytest.raises(KeyError):
        runledger("agents")
