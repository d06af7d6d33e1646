"""Commands of the operator that run at the same time take turns."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import Command

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "words",
    [("publish", "published"), ("export", "parquet", "exported", "--overwrite")],
    ids=["publish", "parquet"],
)
def test_two_at_once_both_succeed(runledger: Command, runs: Path, words: tuple[str, ...]) -> None:
    assert runledger("project").code == 0
    program = "import sys; from runledger.cli.main import main; print(flush=True); input(); main()"
    for _ in range(3):
        both = [
            subprocess.Popen(
                [sys.executable, "-c", program, *words],
                cwd=runs,
                env={**os.environ, "RUNLEDGER_READ_MODELS": "runs.duckdb"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for _ in range(2)
        ]
        for process in both:
            process.stdout.readline()
        for process in both:
            process.stdin.write("\n")
            process.stdin.flush()
        ended = [process.communicate() for process in both]
        assert [process.returncode for process in both] == [0, 0], ended


def test_who_never_answers_is_named_in_the_end(
    runledger: Command, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert runledger("project").code == 0
    monkeypatch.setattr("projections.operator.operator.PATIENCE_SECONDS", 1.0)
    held = "import duckdb; db = duckdb.connect('runs.duckdb'); print(flush=True); input()"
    holder = subprocess.Popen(
        [sys.executable, "-c", held],
        cwd=runs,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    holder.stdout.readline()
    refused = runledger("publish", str(runs / "published"))
    assert refused.code == 1
    assert "holds them and does not serve requests" in refused.err
    holder.communicate("\n")
    assert runledger("publish", str(runs / "published")).code == 0
