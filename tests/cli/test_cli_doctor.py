"""`runledger doctor` finds what must be mended, and changes nothing."""

import asyncio
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from command_line import RUN, Command, Outcome

from runledger import RunLedger
from runledger.health import examine
from runledger.store import open_store
from runledger.store.protocol import EncodedEvent, StreamWrite

pytestmark = pytest.mark.slow


def _checks(outcome: Outcome) -> dict[str, tuple[str, str]]:
    return {check["name"]: (check["state"], check["found"]) for check in outcome.json}


def test_a_healthy_ledger_is_ok(runledger: Command, runs: Path) -> None:
    runledger("project")
    found = runledger("doctor", "--json")
    assert found.code == 0
    checks = _checks(found)
    assert {state for state, _ in checks.values()} == {"ok"}
    assert checks["durable"] == ("ok", "yes")
    assert "0 events behind" in checks["read models' position"][1]
    assert "WRONG" not in runledger("doctor").out


def test_lag_is_told_and_nothing_is_projected(runledger: Command, runs: Path) -> None:
    before = _checks(runledger("doctor", "--json"))
    assert before["read models"][0] == "note"
    assert not (runs / "runs.duckdb").exists()
    runledger("project")
    runledger("runs", "cancel", "run-00000000-0000-4000-8000-000000000003")
    after = _checks(runledger("doctor", "--json"))
    assert "1 events behind" in after["read models' position"][1]


def test_a_store_that_is_not_there_is_wrong(runledger: Command, tmp_path: Path) -> None:
    found = runledger("doctor", "--json")
    assert found.code == 1
    assert _checks(found)["store"][0] == "wrong"
    assert list(tmp_path.iterdir()) == []


def test_a_store_of_a_newer_version_is_wrong(runledger: Command, runs: Path) -> None:
    with sqlite3.connect(runs / "runs.db") as db:
        db.execute("UPDATE ledger_meta SET value = '999' WHERE key = 'schema_version'")
    found = runledger("doctor", "--json")
    assert found.code == 1
    assert "999" in _checks(found)["store"][1]


def test_read_models_of_another_store_are_wrong(runledger: Command, runs: Path) -> None:
    runledger("project")
    with sqlite3.connect(runs / "other.db") as db:
        db.execute("VACUUM")
    env = {"RUNLEDGER_STORE": f"sqlite:///{runs}/other.db"}
    assert runledger("import", "jsonl", "/dev/null", env=env).code == 0
    found = runledger("doctor", "--json", env=env)
    assert found.code == 1
    assert "the same events up to position 0" in _checks(found)["read models"][1]


def test_a_setting_that_loses_events_is_wrong(runledger: Command, postgres: str) -> None:
    env = {"RUNLEDGER_STORE": postgres, "POSTGRES_ENABLE_DB_FUNCTIONS": "y"}
    found = runledger("doctor", "--json", env=env)
    assert found.code == 1
    assert "lose events" in _checks(found)["store"][1]


def test_runs_that_are_left_out_are_counted(runledger: Command, runs: Path) -> None:
    event = EncodedEvent("run.teleported", b"{}", None)
    with closing(open_store(f"sqlite:///{runs}/runs.db")) as store:
        version = len(store.read_stream(RUN.format(3)))
        store.append([(StreamWrite(RUN.format(3), version, (event,)),)])
    runledger("project")
    found = runledger("doctor", "--json")
    assert found.code == 0
    assert _checks(found)["left out of the read models"] == (
        "note",
        "1 runs with 1 events; see `runledger parked list`",
    )


def test_a_published_folder_is_looked_into(runledger: Command, runs: Path) -> None:
    assert runledger("publish", str(runs / "published")).code == 0
    env = {"RUNLEDGER_READ_MODELS": str(runs / "published")}
    found = runledger("doctor", "--json", env=env)
    assert found.code == 0
    assert "0 events behind" in _checks(found)["read models' position"][1]


def test_a_file_that_is_a_little_too_short_is_wrong(runledger: Command, runs: Path) -> None:
    runledger("project")
    file = runs / "runs.duckdb"
    os.truncate(file, file.stat().st_size - 4_096)
    found = runledger("doctor", "--json")
    assert found.code == 1
    assert "bytes, found" in _checks(found)["read models"][1]


def test_a_file_that_was_cut_is_wrong_and_said_to_be_damaged(
    runledger: Command, runs: Path
) -> None:
    runledger("project")
    file = runs / "runs.duckdb"
    os.truncate(file, file.stat().st_size // 2)
    found = runledger("doctor", "--json")
    assert found.code == 1
    assert "puts others in their place" in _checks(found)["read models"][1]
    asked = [runledger(*words.split()) for words in ("usage", "runs list", "agents")]
    assert {outcome.code for outcome in asked} <= {0, 1}
    assert any("`runledger replay --switch` puts others in their place" in o.err for o in asked)


def test_read_models_that_duckdb_has_cut_shorter_are_whole(tmp_path: Path) -> None:
    url, file = f"sqlite:///{tmp_path}/s.db", tmp_path / "r.duckdb"

    async def session(runs: int) -> None:
        async with RunLedger.open(url, file) as ledger:
            for _ in range(runs):
                run = await ledger.create_run("agent-1")
                await ledger.complete_run(run.run_id)
            await ledger.list_runs(limit=1)

    for runs in (5, 5, 1, 0, 1, 1, 0, 1):
        asyncio.run(session(runs))
        assert [check for check in examine(url, file) if check.state == "wrong"] == []
    with file.open("r+b") as stream:
        stream.truncate(file.stat().st_size - 300_000)
    assert [check for check in examine(url, file) if check.state == "wrong"] != []


def test_a_restore_is_told_by_the_command_and_by_doctor(runledger: Command, runs: Path) -> None:
    runledger("backup", "backup")
    runledger("runs", "cancel", "run-00000000-0000-4000-8000-000000000003")
    runledger("project")
    assert runledger("restore", "backup").code == 1
    told = runledger("restore", "backup", "--replace")
    assert told.code == 0
    assert "lost: positions" in told.out
    assert (runs / "runs.db.before-restore").exists()
    found = runledger("doctor", "--json")
    assert found.code == 1
    assert "the same events up to position" in _checks(found)["read models"][1]
    assert runledger("replay", "--switch").code == 0
    assert runledger("doctor").code == 0


def test_a_damaged_store_is_wrong(runledger: Command, runs: Path) -> None:
    with sqlite3.connect(runs / "runs.db") as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        db.execute("PRAGMA writable_schema = ON")
        db.execute("UPDATE sqlite_schema SET rootpage = 2 WHERE name LIKE 'sqlite_autoindex%'")
    found = runledger("doctor", "--json")
    assert found.code == 1
