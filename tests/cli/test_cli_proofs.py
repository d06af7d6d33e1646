"""Checkpoints and proofs on the command line, and a proof by a script that has nothing of ours."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import RUN, Command

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parents[2] / "docs" / "verify_proof.py"


@pytest.fixture
def key(runledger: Command, runs: Path) -> str:
    """A key; a checkpoint of the runs is written with it."""
    key = str(runs / "ledger.key")
    made = runledger("checkpoint", "new-key", key, "--name", "acme/ledger")
    assert made.out == Path(f"{key}.pub").read_text()
    written = runledger("checkpoint", "write", str(runs / "outside"), "--key", key)
    assert (written.code, written.out[:13]) == (0, "acme/ledger: ")
    return key


def prove(runledger: Command, runs: Path, key: str, *more: str) -> Path:
    proof = runs / "proof.json"
    words = ("--checkpoints", str(runs / "outside"), "--key", f"{key}.pub", "-o", str(proof))
    made = runledger("prove", RUN.format(1), *words, *more)
    assert made.code == 0, made.err
    return proof


def test_a_log_is_verified_by_checkpoints(runledger: Command, runs: Path, key: str) -> None:
    words = ("verify", "--log", "--checkpoints", str(runs / "outside"), "--key", f"{key}.pub")
    found = runledger(*words)
    assert found.code == 0
    assert "are those of 1 checkpoints" in found.out
    assert runledger(*words, "--json").json["faults"] == []
    for wrong in (words[:1] + words[2:], words[:4], words[:2] + words[4:]):
        assert runledger(*wrong).code == 2


def test_a_proof_is_verified(runledger: Command, runs: Path, key: str) -> None:
    proof = prove(runledger, runs, key)
    assert "hello" not in proof.read_text()
    found = runledger("verify-proof", str(proof), "--key", f"{key}.pub")
    assert (found.code, "versions 1 to" in found.out) == (0, True)
    assert runledger("verify-proof", str(proof), "--key", f"{key}.pub", "--json").json["holds"]
    proof.write_text(proof.read_text().replace("agent-a", "agent-b"))
    found = runledger("verify-proof", str(proof), "--key", f"{key}.pub")
    assert (found.code, "not in the log" in found.err) == (1, True)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
@pytest.mark.parametrize("contents", [(), ("--contents",)])
def test_the_script_of_the_docs_verifies_a_proof(
    runledger: Command, runs: Path, key: str, contents: tuple[str, ...]
) -> None:
    def script(key: str = key) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-I", "-S", str(SCRIPT), str(proof), f"{key}.pub"]
        return subprocess.run(words, check=False, capture_output=True, text=True)

    proof = prove(runledger, runs, key, *contents)
    done = script()
    assert (done.returncode, ": proved by acme/ledger" in done.stdout) == (0, True), done.stderr
    sound = json.loads(proof.read_text())
    assert any("contents" in event for event in sound["events"]) == bool(contents)
    for name in ("facts", "topic", "contents") if contents else ("facts", "topic"):
        event = next(event for event in sound["events"] if name in event)
        proof.write_text(json.dumps(sound).replace(json.dumps(event[name]), '"other"'))
        assert ": NOT proved" in script().stdout
    proof.write_text(json.dumps(sound))
    other = str(runs / "other.key")
    runledger("checkpoint", "new-key", other, "--name", "acme/ledger")
    assert ": NOT proved" in script(other).stdout


@pytest.mark.parametrize(
    "words",
    [
        ("checkpoint", "write", "outside", "--key", "none.key"),
        ("checkpoint", "write", "outside", "--key", "ledger.key.pub"),
        ("prove", RUN.format(9), "--checkpoints", "outside", "--key", "ledger.key.pub"),
        ("prove", RUN.format(1), "--checkpoints", "nowhere", "--key", "ledger.key.pub"),
        ("verify-proof", "none.json", "--key", "ledger.key.pub"),
        ("verify-proof", "ledger.key.pub", "--key", "ledger.key.pub"),
        ("checkpoint", "new-key", "ledger.key", "--name", "x"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    runledger: Command, runs: Path, key: str, monkeypatch: pytest.MonkeyPatch, words: tuple[str]
) -> None:
    monkeypatch.chdir(runs)
    found = runledger(*words)
    assert found.code == 1
    assert found.err.startswith("runledger: ")
    assert found.err.count("\n") == 1


@pytest.mark.parametrize("words", [("checkpoint", "write", "outside"), ("prove", RUN.format(1))])
def test_the_log_of_a_server_is_told_to_be_elsewhere(
    runledger: Command, runs: Path, key: str, words: tuple[str, ...]
) -> None:
    more = (
        ("--checkpoints", "outside", "--key", f"{key}.pub")
        if words[0] == "prove"
        else ("--key", key)
    )
    found = runledger("--store", "http://localhost:9", *words, *more)
    assert (found.code, "found the address of a server" in found.err) == (1, True)
