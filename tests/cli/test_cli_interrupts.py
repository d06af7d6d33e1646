"""Ctrl-C: a long question ends at once, an import keeps what went in and says how to go on."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from command_line import Command
from test_cli_importing import INFO, SIMULATION

from scripts.bench.generate import generate

pytestmark = pytest.mark.slow

ENDLESS = "SELECT count(*) FROM range(1_000_000_000_000) AS t(n) WHERE n % 7 = 1"


def _started(folder: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "runledger.cli.main", *words],
        env={
            **os.environ,
            "RUNLEDGER_STORE": f"sqlite:///{folder}/runs.db",
            "RUNLEDGER_READ_MODELS": str(folder / "runs.duckdb"),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell starts what it runs in the background with Ctrl-C ignored, and children inherit it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def _interrupted(process: subprocess.Popen[str], when: Callable[[], bool]) -> tuple[int, str]:
    """Send Ctrl-C as soon as something holds; return exit code and stderr."""
    try:
        deadline = time.monotonic() + 300
        while not when() and process.poll() is None:
            assert time.monotonic() < deadline, "it never came to that"
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
        return process.returncode, said
    finally:
        process.kill()
        process.wait()


def test_a_long_question_ends_at_once(runledger: Command, runs: Path) -> None:
    assert runledger("project").code == 0
    process = _started(runs, "sql", ENDLESS)

    def counts() -> bool:
        # Nothing else keeps it busy for as long.
        return bool(psutil.Process(process.pid).cpu_times().user > 3)

    assert _interrupted(process, counts) == (130, "")
    assert runledger("runs", "list").code == 0


def test_an_import_keeps_what_went_in(runledger: Command, tmp_path: Path) -> None:
    total = 8_000
    file, stores = tmp_path / "r.json", [tmp_path / f"runs{n}.db" for n in range(8)]
    simulations = [{**SIMULATION, "id": str(uuid.uuid4())} for _ in range(total)]
    file.write_text(json.dumps({"info": INFO, "simulations": simulations}))
    # On a busy machine an import may be over before its end is asked for; then another is begun.
    for store in stores:
        url = f"sqlite:///{store}"
        wal = store.with_name(f"{store.name}-wal")
        process = _started(tmp_path, "--store", url, "import", "tau2", str(file))
        code, said = _interrupted(process, lambda wal=wal: _size(wal) > 200_000)
        if code:
            break
    assert code == 130
    assert said == "interrupted: what is recorded stays; the same command brings the rest\n"
    report = runledger("--store", url, "import", "tau2", str(file), "--json").json
    assert report["recorded"] + report["unchanged"] == total
    assert report["unchanged"] > 0
    assert report["recorded"] > 0


def test_an_import_that_is_not_interrupted_says_nothing_but_its_report(tmp_path: Path) -> None:
    file = tmp_path / "r.json"
    simulations = [{**SIMULATION, "id": str(uuid.uuid4())} for _ in range(200)]
    file.write_text(json.dumps({"info": INFO, "simulations": simulations}))
    process = _started(tmp_path, "import", "tau2", str(file))
    report, said = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "200 runs recorded" in report
    # Nor do the libraries, of what is left when the process ends.
    assert said == ""


def test_a_replay_that_is_interrupted_goes_on_where_it_was(
    runledger: Command, tmp_path: Path
) -> None:
    generate(f"sqlite:///{tmp_path}/runs.db", 80_000)
    # On a busy machine a replay may be over before its end is asked for; then another is begun.
    for attempt in range(8):
        words = ("--read-models", str(tmp_path / f"runs{attempt}.duckdb"), "replay")
        built = tmp_path / f"runs{attempt}.duckdb.generations"

        def projects(built: Path = built) -> bool:
            return any(_size(file) > 2_000_000 for file in built.glob("*.wal"))

        code, _ = _interrupted(_started(tmp_path, *words), projects)
        if code:
            break
    assert code == 130
    before = {file.name for file in built.glob("*.duckdb")}
    done = runledger(*words, "--json").json
    assert done["built"]["position"] == 80_000
    assert {file.name for file in built.glob("*.duckdb")} == before


def test_a_watch_ends_when_it_is_told_and_goes_on_after_a_kill(
    runledger: Command, tmp_path: Path
) -> None:
    def written(name: str) -> None:
        line = {
            "type": "user",
            "uuid": name,
            "sessionId": name,
            "timestamp": "2026-01-05T09:00:00Z",
            "message": {"role": "user", "content": "hello"},
        }
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(line) + "\n")

    words = ("watch", "claude-code", "--path", str(tmp_path), "--interval", "0.1")
    for name, ending, expected in (
        ("a", signal.SIGKILL, -signal.SIGKILL),
        ("b", signal.SIGINT, 0),
        ("c", signal.SIGTERM, 0),
    ):
        process = _started(tmp_path, *words)
        try:
            written(name)
            assert process.stdout is not None
            assert process.stdout.readline() == "1 runs recorded, 0 extended (3 events)\n"
            process.send_signal(ending)
            assert process.wait(60) == expected
        finally:
            process.kill()
            process.wait()
    again = runledger("import", "claude-code", str(tmp_path), "--json").json
    # By the times of their lines, the turns are over.
    assert (again["recorded"], again["extended"]) == (0, 3)
