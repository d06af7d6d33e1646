"""Notes are signed so that others verify them, and no other key and text are taken."""

import base64
import shutil
import subprocess
from pathlib import Path

import pytest

from runledger.errors import InvalidArgument
from runledger.proofs.checkpoint import Checkpoint, read_checkpoint
from runledger.proofs.notes import Signer, new_key, open_note, read_signer, read_verifier

CHECKPOINT = Checkpoint("acme/ledger", 300, bytes(range(32)))


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return new_key("acme/ledger", tmp_path / "ledger.key")


def test_a_key_is_read_as_it_was_written(signer: Signer, tmp_path: Path) -> None:
    file = tmp_path / "ledger.key"
    assert read_signer(file) == signer
    assert file.stat().st_mode & 0o777 == 0o600
    assert read_verifier(str(tmp_path / "ledger.key.pub")) == signer.verifier
    assert read_verifier(str(signer.verifier)) == signer.verifier
    assert base64.b64encode(signer.seed).decode() not in f"{signer} {signer.verifier}"


def test_a_key_is_never_replaced(signer: Signer, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="expected a new file"):
        new_key("acme/ledger", tmp_path / "ledger.key")


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb"])
def test_a_name_that_a_note_cannot_carry_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="key name"):
        new_key(name, tmp_path / "k")


def test_a_checkpoint_is_read_as_it_was_signed(signer: Signer) -> None:
    assert read_checkpoint(CHECKPOINT.signed(signer), signer.verifier) == CHECKPOINT


def test_the_example_of_the_specification_is_read() -> None:
    # The public key and the note in the documentation of golang.org/x/mod/sumdb/note.
    verifier = read_verifier("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
    note = (
        "If you think cryptography is the answer to your problem,\n"
        "then you don't know what your problem is.\n"
        "\n"
        "\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfq"
        "dngotpRZb6KE6RyyBwJnAM=\n"
    )
    assert open_note(note, verifier).startswith("If you think cryptography")
    with pytest.raises(InvalidArgument, match="one that does not"):
        open_note(note.replace("answer", "question"), verifier)


@pytest.mark.parametrize(
    ("old", "new"), [("\n300\n", "\n301\n"), ("acme/ledger\n", "acme/other\n"), ("\n\n", "\n")]
)
def test_a_note_that_was_changed_is_refused(signer: Signer, old: str, new: str) -> None:
    note = CHECKPOINT.signed(signer)
    assert old in note
    with pytest.raises(InvalidArgument):
        read_checkpoint(note.replace(old, new, 1), signer.verifier)


def test_another_key_of_the_same_name_is_refused(signer: Signer, tmp_path: Path) -> None:
    other = new_key("acme/ledger", tmp_path / "other.key")
    with pytest.raises(InvalidArgument, match="found"):
        read_checkpoint(CHECKPOINT.signed(other), signer.verifier)


@pytest.mark.parametrize("text", ["a+b+c", "a+00000000+AAAA", "no key at all"])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="key"):
        read_verifier(text)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_openssl_verifies_a_note(signer: Signer, tmp_path: Path) -> None:
    text, _, line = CHECKPOINT.signed(signer).rpartition("\n\u2014 acme/ledger ")
    files = {
        "text": text.encode(),
        "signature": base64.b64decode(line)[4:],
        "key": bytes.fromhex("302a300506032b6570032100") + signer.verifier.public,
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    command = "openssl pkeyutl -verify -pubin -rawin -keyform DER -inkey key -sigfile signature -in"
    done = subprocess.run(
        [*command.split(), "text"], check=False, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
