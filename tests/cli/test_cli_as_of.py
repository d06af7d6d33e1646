"""`--as-of`: which commands take it, and that it reaches the question."""

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
import typer
from command_line import RUN, Command

from runledger import RunLedger
from runledger.callbacks import CallbackSettings
from runledger.cli.main import app
from runledger.store.protocol import EncodedEvent, StreamWrite

pytestmark = pytest.mark.slow

OF_THE_PRESENT = {
    "archive": "continues to the end of the log",
    "callbacks redeliver": "does something",
    "checkpoint": "signs the log as it is",
    "demo": "does something",
    "dispatch": "does something",
    "doctor": "looks at the files that are there",
    "expire": "does something",
    "export jsonl": "takes the log itself away",
    "generations compare": "looks at the files that are there",
    "generations drop": "does something",
    "generations list": "looks at the files that are there",
    "generations show": "looks at the files that are there",
    "generations switch": "does something",
    "import": "does something",
    "keys": "keys are what they are now",
    "mcp": "does something",
    "migrate": "does something",
    "otel": "looks at the spans that are there",
    "serve": "does something",
    "watch": "does something",
    "backup": "does something",
    "restore": "does something",
    "parked retry": "does something",
    "project": "does something",
    "prove": "proves an event, which a later position does not change",
    "publish": "what is published is followed as the newest",
    "replay": "builds to the end of the log",
    "runs cancel": "does something",
    "runs delete": "does something",
    "verify": "looks at the files that are there",
    "views": "views are what they are now",
    "prices": "prices are those of the next step",
    "reprice": "does something",
    "follow": "begins where it is told, and goes on",
    "completion": "prints a script",
    "verify-proof": "looks at the file that is given",
}


def _commands() -> Iterator[tuple[str, set[str]]]:
    def walk(command: object, words: list[str]) -> Iterator[tuple[str, set[str]]]:
        for name, child in sorted(getattr(command, "commands", {}).items()):
            if getattr(child, "commands", None):
                yield from walk(child, [*words, name])
            else:
                yield " ".join([*words, name]), {p.name for p in child.params}

    yield from walk(typer.main.get_command(app), [])


def test_every_command_takes_it_but_those_that_are_of_the_present() -> None:
    without = {name for name, options in _commands() if "as_of" not in options}
    assert {
        name
        for name in without
        if name not in OF_THE_PRESENT and name.partition(" ")[0] not in OF_THE_PRESENT
    } == set()
    assert not {name for name, options in _commands() if "as_of" in options} & OF_THE_PRESENT.keys()


def _ended(folder: Path) -> int:
    """Return the position before the first run ended."""
    with sqlite3.connect(folder / "runs.db") as db:
        ((position,),) = db.execute(
            "SELECT min(notification_id) FROM ledger_events WHERE topic = 'run.completed'"
        ).fetchall()
    return int(position) - 1


def test_every_answer_is_that_of_then(runledger: Command, runs: Path) -> None:
    then = ("--as-of", str(_ended(runs)), "--json")
    none = ("--as-of", "0", "--json")
    assert runledger("runs", "show", RUN.format(1), *then).json["run"]["status"] == "running"
    assert runledger("runs", "show", RUN.format(1), *none).code == 1
    assert {run["status"] for run in runledger("runs", "list", *then).json} == {"running"}
    assert runledger("percentiles", *then).json == []
    assert runledger("usage", *then).json[0]["prompt_tokens"] == 812
    assert len(runledger("agents", *then).json) == 2
    assert runledger("sql", "SELECT count(*) AS n FROM runs", *then).json == [{"n": 3}]
    for words in (
        ("runs", "list"),
        ("usage",),
        ("agents",),
        ("callbacks", "list"),
        ("parked", "list"),
        ("sql", "FROM runs"),
    ):
        assert runledger(*words, *none).json == [], words
    assert not (runs / "runs.duckdb").exists()


def test_callbacks_and_what_is_parked_are_those_of_then(runledger: Command, runs: Path) -> None:
    async def record() -> tuple[str, int, int]:
        whose = CallbackSettings(dispatch=False)
        async with RunLedger.open(f"sqlite:///{runs}/runs.db", callbacks=whose) as ledger:
            run_id = (await ledger.create_run("agent-c", callback_url="https://a.example/")).run_id
            before = ledger.store.head()
            await ledger.complete_run(run_id)
            ended = ledger.store.head()
            unknown = EncodedEvent("run.teleported", b'{"revision":1}', None)
            ledger.store.append([(StreamWrite(RUN.format(3), 2, (unknown,)),)])
            return run_id, before, ended

    run_id, before, ended = asyncio.run(record())
    for moment, statuses in ((before, []), (ended, ["pending"])):
        then = ("--as-of", str(moment), "--json")
        rows = runledger("callbacks", "list", *then).json
        assert [row["status"] for row in rows] == statuses
        owed = runledger("callbacks", "show", run_id, *then).json["owed"]
        assert (owed is None) == (not statuses)
        assert runledger("parked", "list", *then).json == []
    assert run_id in runledger("callbacks", "list", "--as-of", str(ended)).out
    then = ("--as-of", str(ended + 1), "--json")
    assert [row["stream"] for row in runledger("parked", "list", *then).json] == [RUN.format(3)]


def test_rows_of_then_are_taken_away(runledger: Command, runs: Path) -> None:
    position = _ended(runs)
    done = runledger("export", "parquet", str(runs / "e"), "--as-of", str(position), "--json").json
    assert done["position"] == position
    assert done["rows"]["runs"] == 3
    assert done["rows"]["run_durations"] == 0
    rows = duckdb.execute(f"SELECT status FROM '{runs}/e/runs/**/*.parquet'").fetchall()
    assert rows == [("running",)] * 3
    now = runledger("export", "parquet", str(runs / "e"), "--overwrite", "--json").json
    assert now["rows"]["run_durations"] == 2


def test_the_archive_is_a_global_option(
    runledger: Command, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projections.generations.as_of.NEAR_EVENTS", 1)
    question = ("usage", "--as-of", str(_ended(runs)), "--json")
    folder = str(runs / "archive")
    missing = runledger(*question, "--archive", folder)
    assert missing.code == 1
    assert "no manifest.json there" in missing.err
    assert runledger("archive", folder).code == 0
    (row,) = runledger(*question, env={"RUNLEDGER_ARCHIVE": folder}).json
    assert row["prompt_tokens"] == 812
