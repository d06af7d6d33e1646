"""Little memory, and values that no ledger could hold: one line that says what to do."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from projections.files.duckdb_connection import ADDRESS_SPACE
from runledger.cli.storable import LARGEST

pytestmark = pytest.mark.slow

PROGRAM = [sys.executable, "-m", "runledger.cli.main"]


def run(folder: Path, *words: str | bytes, memory: int | None = None) -> tuple[int, str]:
    """Return the exit code and what was said; `memory` is the address space in bytes."""

    def limit() -> None:
        if memory is not None:
            resource.setrlimit(resource.RLIMIT_AS, (memory, memory))

    places = ["--store", f"sqlite:///{folder}/runs.db", "--read-models", f"{folder}/r.duckdb"]
    done = subprocess.run(
        [*PROGRAM, *places, *words],
        capture_output=True,
        preexec_fn=limit,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stderr.decode(errors="replace")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a ledger, into which no test writes."""
    made = tmp_path_factory.mktemp("limits")
    code, said = run(made, "import", "jsonl", "/dev/null")
    assert code == 0, said
    return made


@pytest.mark.parametrize("command", ["runs list", "usage", "verify", "replay"])
def test_too_little_address_space_is_one_line_and_no_crash(folder: Path, command: str) -> None:
    code, said = run(folder, *command.split(), memory=600 * 10**6)
    assert code == 1
    assert "Traceback" not in said
    assert f"expected an address space of {ADDRESS_SPACE // 10**6} MB" in said


def test_what_is_said_to_be_enough_is_enough(folder: Path) -> None:
    assert run(folder, "runs", "list", memory=ADDRESS_SPACE) == (0, "")


@pytest.mark.parametrize(
    "words",
    [
        ("runs", "list", "--step-count", str(LARGEST + 1)),
        ("runs", "list", "--as-of", str(LARGEST + 1)),
        ("callbacks", "list", "--limit", str(LARGEST + 1)),
        ("verify", "--sample", str(LARGEST + 1)),
        ("generations", "drop", str(LARGEST + 1)),
        ("runs", "list", "--agent-id", b"a\xff"),
        ("runs", "list", "--after", b"\xff"),
        ("parked", "retry", b"\xff"),
        ("sql", b"SELECT '\xff'"),
    ],
)
def test_a_value_that_no_ledger_could_hold_is_wrong_use(
    folder: Path, words: tuple[str | bytes, ...]
) -> None:
    code, said = run(folder, *words)
    assert code == 2
    assert "expected a number of 64 bits" in said or "expected text in UTF-8" in said
