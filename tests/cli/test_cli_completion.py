"""Completion in a shell: commands, options, and ids of the ledger; never a message."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import RUN, Command

from runledger.cli.main import COMPLETES

pytestmark = pytest.mark.slow


PROGRAM = "import sys; sys.argv = ['runledger']; from runledger.cli.main import main; main()"
"""The program under the name by which a shell calls it."""


def _completed(runs: Path, line: str, **more: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "RUNLEDGER_STORE": f"sqlite:///{runs}/runs.db",
            "RUNLEDGER_READ_MODELS": f"{runs}/runs.duckdb",
            COMPLETES: "complete_bash",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(line.split()) - 1),
            **more,
        },
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


def test_commands_options_and_ids_are_completed(runledger: Command, runs: Path) -> None:
    runledger("views", "save", "slow-refunds", "num_steps > 1")
    assert _completed(runs, "runledger perc") == ["percentiles"]
    assert _completed(runs, "runledger runs list --duration-p") == ["--duration-percentile"]
    listed = runledger("runs", "list", "--json").json
    prefix = RUN.format("")
    found = _completed(runs, f"runledger runs show {prefix}")
    assert found == [run["run_id"] for run in listed]
    assert _completed(runs, f"runledger runs show {RUN.format(2)}") == [RUN.format(2)]
    agent_id = listed[0]["agent_id"]
    assert agent_id in _completed(runs, f"runledger runs list --agent-id {agent_id[:3]}")
    assert _completed(runs, "runledger usage --view slow") == ["slow-refunds"]


def test_without_a_ledger_nothing_is_offered_and_nothing_is_made(tmp_path: Path) -> None:
    for line in ("runledger runs show run-", "runledger usage --view s"):
        assert _completed(tmp_path, line) == []
    other = {"RUNLEDGER_STORE": "http://localhost:1"}
    assert _completed(tmp_path, "runledger runs show run-", **other) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell_is_one(shell: str, runledger: Command) -> None:
    script = runledger("completion", shell).out
    assert COMPLETES in script
    if (program := shutil.which(shell)) is not None:
        read = subprocess.run([program, "-n"], input=script, text=True, check=False)
        assert read.returncode == 0


def test_an_unknown_shell_is_refused(runledger: Command) -> None:
    assert runledger("completion", "tcsh").code == 2
