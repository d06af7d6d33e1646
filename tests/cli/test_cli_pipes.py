"""The command line between pipes and devices, as a real process."""

import gzip
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import RUN, Command

pytestmark = pytest.mark.slow

HERE = {"stdin": "/dev/stdin", "dash": "-"}


def _run(folder: Path, *words: str, **given) -> subprocess.CompletedProcess:
    env = {**os.environ, "RUNLEDGER_READ_MODELS": str(folder / "runs.duckdb")}
    env.setdefault("RUNLEDGER_STORE", f"sqlite:///{folder}/runs.db")
    command = [sys.executable, "-c", "from runledger.cli.main import main; main()", *words]
    return subprocess.run(command, env=env, check=False, **{"capture_output": True, **given})


@pytest.mark.parametrize("name", HERE.values(), ids=HERE)
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_events_go_through_a_pipe(runs: Path, name: str, packed: bool) -> None:
    exported = _run(runs, "export", "jsonl").stdout
    store = ("--store", f"sqlite:///{runs}/other.db")
    given = gzip.compress(exported) if packed else exported
    done = _run(runs, "import", "jsonl", name, *store, input=given)
    assert (done.returncode, done.stderr) == (0, b"")
    assert _run(runs, "export", "jsonl", *store).stdout == exported


def test_results_go_through_a_pipe(runs: Path) -> None:
    results = json.dumps(
        {
            "info": {
                "agent_info": {"llm": "gpt-4.1"},
                "environment_info": {"domain_name": "retail"},
            },
            "simulations": [],
        }
    )
    done = _run(runs, "import", "tau2", "/dev/stdin", input=results.encode())
    assert (done.returncode, done.stderr) == (0, b"")


def test_an_empty_pipe_is_an_empty_file(runs: Path) -> None:
    assert _run(runs, "import", "jsonl", "-", input=b"").returncode == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has such a device")
@pytest.mark.parametrize(
    "words",
    [("runs", "show", RUN.format(1)), ("export", "jsonl"), ("doctor", "--json"), ("--help",)],
    ids=["show", "export", "doctor", "help"],
)
def test_a_full_output_is_one_line_and_exit_code_1(runs: Path, words: tuple[str, ...]) -> None:
    with Path("/dev/full").open("wb") as full:
        done = _run(runs, *words, capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert done.stderr == b"runledger: output: No space left on device\n"
    assert done.returncode == 1


@pytest.mark.parametrize(
    "words",
    [("export", "jsonl"), ("sql", "--csv", "SELECT 1"), ("--help",)],
    ids=["export", "csv", "help"],
)
def test_a_closed_pipe_ends_it_without_a_word(runs: Path, words: tuple[str, ...]) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    with open(theirs, "wb") as nobody:
        done = _run(runs, *words, capture_output=False, stdout=nobody, stderr=subprocess.PIPE)
    assert done.stderr == b""
    assert done.returncode == 128 + signal.SIGPIPE


def test_parquet_in_the_place_of_a_file_is_refused(runledger: Command, runs: Path) -> None:
    (runs / "mine").write_text("mine")
    refused = runledger("export", "parquet", str(runs / "mine"))
    assert refused.code == 1
    assert "expected a new or empty folder, found a file" in refused.err
    assert (runs / "mine").read_text() == "mine"
