"""A checkpoint continues the one before it, and a run is proved by it without the ledger."""

import base64
import json
from pathlib import Path

import pytest

from runledger.errors import (
    InvalidArgument,
    LogDamaged,
    NotFound,
    ProofRefused,
    ReadModelsLocked,
)
from runledger.proofs.checkpoint_folder import CheckpointFolder, tile_path
from runledger.proofs.log_check import check_log
from runledger.proofs.merkle import root_of
from runledger.proofs.notes import Signer, new_key
from runledger.proofs.run_proof import check_proof, prove_run
from runledger.proofs.writing import write_checkpoint
from runledger.store import Store
from runledger.store.protocol import StreamWrite
from runledger.store.tiles import WIDTH
from tests.proofs.altering import rewrite, unguard
from tests.store.conftest import Raw
from tests.store.samples import append, said

EVENTS = 2 * WIDTH + 44


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return new_key("acme/ledger", tmp_path / "ledger.key")


@pytest.fixture
def folder(tmp_path: Path) -> CheckpointFolder:
    return CheckpointFolder(tmp_path / "checkpoints")


@pytest.fixture
def filled(store: Store) -> Store:
    store.append([append("a", 0, WIDTH)])
    store.append([(StreamWrite("run", 0, (said("m1", "hello"), said("m2", "bye"))),)])
    store.append([append("b", 0, EVENTS - WIDTH - 2)])
    return store


def leaves(store: Store) -> list[bytes]:
    return [tile.leaf(at) for tile in store.tiles(0, 999) for at in range(tile.events)]


def test_a_checkpoint_has_the_root_of_all_leaves(
    filled: Store, folder: CheckpointFolder, signer: Signer
) -> None:
    first = write_checkpoint(filled, folder, signer)
    assert (first.size, first.root) == (EVENTS, root_of(leaves(filled)))
    assert write_checkpoint(filled, folder, signer) == first
    for count in (1, 255, 300):
        head = filled.append([append("c", 0, count)]) if count == 1 else None
        filled.append([append(f"d{count}", 0, count)])
        made = write_checkpoint(filled, folder, signer, leaves=True)
        assert made.root == root_of(leaves(filled)), head
    assert [one.size for one in folder.all(signer.verifier)] == [EVENTS, EVENTS + 2, 813, 1_113]
    assert check_log(filled, folder, signer.verifier) == (4, 1_113, 1_113, 0, [])


def test_tiles_lie_where_the_specification_says(
    filled: Store, folder: CheckpointFolder, signer: Signer
) -> None:
    assert tile_path(0, 1_234_067, 256) == "tile/0/x001/x234/067"
    assert tile_path(1, 0, 2) == "tile/1/000.p/2"
    write_checkpoint(filled, folder, signer, leaves=True)
    names = {str(f.relative_to(folder.path)) for f in folder.path.rglob("*") if f.is_file()}
    tiles = {"tile/0/000", "tile/0/001", "tile/0/002.p/44", "tile/1/000.p/2"}
    assert names == {"checkpoint", f"checkpoints/{EVENTS}", *tiles}


def test_another_history_is_not_signed(
    filled: Store, folder: CheckpointFolder, signer: Signer, raw: Raw, store_url: str
) -> None:
    write_checkpoint(filled, folder, signer)
    # The row, and the tile that was made of it: what is in the database agrees with itself.
    rewrite(raw, store_url, filled, EVENTS)
    filled.append([append("c", 0, 3)])
    with pytest.raises(LogDamaged, match="other events among them"):
        write_checkpoint(filled, folder, signer)
    assert folder.note() is not None
    assert len(folder.all(signer.verifier)) == 1


def test_a_folder_of_another_is_left_alone(filled: Store, tmp_path: Path, signer: Signer) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letter.txt").write_text("dear")
    with pytest.raises(InvalidArgument, match="letter.txt"):
        write_checkpoint(filled, CheckpointFolder(tmp_path / "home"), signer)
    write_checkpoint(filled, CheckpointFolder(tmp_path / "ours"), signer)
    with pytest.raises(InvalidArgument, match="signature"):
        write_checkpoint(
            filled, CheckpointFolder(tmp_path / "ours"), new_key("x", tmp_path / "x.key")
        )


def test_one_writes_to_a_folder_and_what_a_kill_left_goes(
    filled: Store, folder: CheckpointFolder, signer: Signer
) -> None:
    left = folder.path / "tile" / "1" / ".000.7.part"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    with folder.writing(), pytest.raises(ReadModelsLocked, match="another process is writing"):
        write_checkpoint(filled, folder, signer)
    assert folder.note() is None
    write_checkpoint(filled, folder, signer)
    assert not left.exists()
    assert check_log(filled, folder, signer.verifier).faults == []


def test_nothing_is_signed_of_an_empty_log(
    store: Store, folder: CheckpointFolder, signer: Signer
) -> None:
    with pytest.raises(InvalidArgument, match="found none"):
        write_checkpoint(store, folder, signer)
    assert not folder.path.exists()


@pytest.mark.parametrize("contents", [True, False])
def test_a_run_is_proved(
    filled: Store, folder: CheckpointFolder, signer: Signer, contents: bool
) -> None:
    write_checkpoint(filled, folder, signer)
    filled.append([(StreamWrite("run", 2, (said("m3", "later"),)),)])
    made = prove_run(filled, "run", folder, signer.verifier, contents=contents)
    text = made.model_dump_json()
    proof, checkpoint = check_proof(text, signer.verifier)
    assert ([event.version for event in proof.events], checkpoint.size) == ([1, 2], EVENTS)
    assert ("hello" in text) == contents
    assert "later" not in text


def test_a_proof_of_other_bytes_is_refused(
    filled: Store, folder: CheckpointFolder, signer: Signer
) -> None:
    write_checkpoint(filled, folder, signer)
    sound = json.loads(
        prove_run(filled, "run", folder, signer.verifier, contents=True).model_dump_json()
    )
    changes = {
        "facts": sound["events"][0]["facts"].replace("agent-a", "agent-b"),
        "contents": sound["events"][0]["contents"].replace("hello", "HELLO"),
        "position": 1,
        "index": 1,
        "version": 2,
        "topic": "other",
        "commitment": None,
        "salt": base64.b64encode(b"x" * 32).decode(),
        "path": sound["events"][1]["path"],
    }
    check_proof(json.dumps(sound), signer.verifier)
    for name, value in changes.items():
        event = {**sound["events"][0], name: value}
        spoilt = {**sound, "events": [event, sound["events"][1]]}
        with pytest.raises(ProofRefused):
            check_proof(json.dumps(spoilt), signer.verifier)
    for spoilt in (
        {**sound, "run": "other"},
        {**sound, "events": sound["events"][1:]},
        {**sound, "events": []},
        {**sound, "more": 1},
    ):
        with pytest.raises(ProofRefused):
            check_proof(json.dumps(spoilt), signer.verifier)


def test_nothing_is_proved_of_a_tile_that_lacks_events(
    filled: Store, folder: CheckpointFolder, signer: Signer, raw: Raw, store_url: str
) -> None:
    write_checkpoint(filled, folder, signer)
    unguard(raw, store_url)
    raw("DELETE FROM ledger_events WHERE notification_id = %s", WIDTH + 5)
    with pytest.raises(LogDamaged, match="positions 257 to 512 are not those of their tile"):
        prove_run(filled, "run", folder, signer.verifier, contents=False)


def test_what_no_checkpoint_has_is_not_proved(
    filled: Store, folder: CheckpointFolder, signer: Signer
) -> None:
    with pytest.raises(NotFound, match="checkpoint"):
        prove_run(filled, "run", folder, signer.verifier, contents=False)
    write_checkpoint(filled, folder, signer)
    filled.append([append("late", 0, 3)])
    for run, said_of_it in (("late", "no event of it"), ("none", "no such run")):
        with pytest.raises(NotFound, match=said_of_it):
            prove_run(filled, run, folder, signer.verifier, contents=False)
