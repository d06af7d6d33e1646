"""What somebody changes who can write to the database is found by checkpoints outside of it."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from runledger.proofs.checkpoint_folder import CheckpointFolder
from runledger.proofs.log_check import LogCheck, check_log
from runledger.proofs.notes import Signer, new_key
from runledger.proofs.writing import write_checkpoint
from runledger.store import Store
from runledger.store.protocol import StreamWrite
from runledger.store.tiles import WIDTH
from tests.proofs.altering import let_renumber, make_tiles_again, rewrite, spoil, unguard
from tests.store.conftest import Raw
from tests.store.samples import append, said

EVENTS = 3 * WIDTH + 10
FIRST = WIDTH + 7


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return new_key("acme/ledger", tmp_path / "ledger.key")


@pytest.fixture
def guarded(store: Store, signer: Signer, tmp_path: Path) -> Store:
    """A log with two checkpoints, their leaves in one folder and not in the other."""
    store.append([append("a", 0, FIRST - 2)])
    store.append([(StreamWrite("run", 0, (said("m1", "hello"), said("m2", "bye"))),)])
    for name in ("exact", "coarse"):
        folder = CheckpointFolder(tmp_path / name)
        write_checkpoint(store, folder, signer, leaves=name == "exact")
    store.append([append("b", 0, EVENTS - FIRST)])
    for name in ("exact", "coarse"):
        folder = CheckpointFolder(tmp_path / name)
        write_checkpoint(store, folder, signer, leaves=name == "exact")
    store.append([append("young", 0, 5)])
    return store


def checked(store: Store, signer: Signer, tmp_path: Path) -> tuple[LogCheck, LogCheck]:
    exact, coarse = (
        check_log(store, CheckpointFolder(tmp_path / name), signer.verifier)
        for name in ("exact", "coarse")
    )
    return exact, coarse


def test_a_sound_log_raises_no_alarm(guarded: Store, signer: Signer, tmp_path: Path) -> None:
    for found in checked(guarded, signer, tmp_path):
        assert found == (2, EVENTS, EVENTS, 0, [])


@pytest.mark.parametrize("position", [1, WIDTH, FIRST, 2 * WIDTH, EVENTS])
def test_a_rewritten_event_is_found_though_the_database_agrees_with_itself(
    guarded: Store, signer: Signer, raw: Raw, store_url: str, tmp_path: Path, position: int
) -> None:
    rewrite(raw, store_url, guarded, position)
    exact, coarse = checked(guarded, signer, tmp_path)
    assert [fault.position for fault in exact.faults] == [position]
    (fault,) = coarse.faults
    if position <= 3 * WIDTH:
        first = (position - 1) // WIDTH * WIDTH + 1
        assert fault.detail.startswith(f"among positions {first:,} to {first + WIDTH - 1:,}")
    else:
        assert fault.detail.startswith(f"among events {FIRST + 1:,} to {EVENTS:,}, between two")


def test_rewritten_contents_are_found(
    guarded: Store, signer: Signer, raw: Raw, store_url: str, tmp_path: Path
) -> None:
    unguard(raw, store_url)
    spoil(raw, FIRST, "contents")
    for found in checked(guarded, signer, tmp_path):
        assert [(f.position, "contents differ" in f.detail) for f in found.faults] == [
            (FIRST, True)
        ]
    make_tiles_again(raw, guarded)
    exact, coarse = checked(guarded, signer, tmp_path)
    assert [fault.position for fault in exact.faults] == [FIRST]
    assert len(coarse.faults) == 1


def test_events_that_are_gone_or_new_are_found(
    guarded: Store, signer: Signer, raw: Raw, store_url: str, tmp_path: Path
) -> None:
    unguard(raw, store_url)
    raw("DELETE FROM ledger_events WHERE notification_id = %s", 300)
    make_tiles_again(raw, guarded)
    exact, coarse = checked(guarded, signer, tmp_path)
    assert exact.faults[0].position == 301
    assert coarse.faults[0].detail.startswith("among positions 257 to 513")
    raw("DELETE FROM ledger_events WHERE notification_id > %s", 280)
    raw("DELETE FROM ledger_tiles WHERE tile > 1")
    for found in checked(guarded, signer, tmp_path):
        assert found.faults[0].missing


def test_damaged_tiles_outside_accuse_no_event(
    guarded: Store, signer: Signer, tmp_path: Path
) -> None:
    tile = tmp_path / "exact" / "tile" / "0" / "001"
    tile.write_bytes(b"x" + tile.read_bytes()[1:])
    exact, _ = checked(guarded, signer, tmp_path)
    (fault,) = exact.faults
    assert (fault.position, "tiles in the folder are damaged" in fault.detail) == (None, True)


@pytest.mark.slow
def test_no_mutation_before_the_last_checkpoint_passes(
    guarded: Store, signer: Signer, raw: Raw, store_url: str, tmp_path: Path
) -> None:
    unguard(raw, store_url)
    let_renumber(raw, store_url)
    raw("CREATE TABLE saved AS SELECT * FROM ledger_events")
    raw("CREATE TABLE saved_tiles AS SELECT * FROM ledger_tiles")
    chance = random.Random(7)
    for turn in range(60):
        mutation = chance.choice(MUTATIONS)
        mutation(raw, chance.randint(1, EVENTS - 2))
        if turn % 2:
            make_tiles_again(raw, guarded)
        exact, coarse = checked(guarded, signer, tmp_path)
        assert exact.faults, (turn, mutation)
        assert coarse.faults, (turn, mutation)
        for table in ("ledger_events", "ledger_tiles"):
            raw(f"DELETE FROM {table}")
        raw("INSERT INTO ledger_events SELECT * FROM saved")
        raw("INSERT INTO ledger_tiles SELECT * FROM saved_tiles")
    assert not any(found.faults for found in checked(guarded, signer, tmp_path))


def flipped(raw: Raw, position: int) -> None:
    spoil(raw, position)


def deleted(raw: Raw, position: int) -> None:
    raw("DELETE FROM ledger_events WHERE notification_id = %s", position)


def renumbered(raw: Raw, position: int) -> None:
    raw(
        "UPDATE ledger_events SET originator_version = originator_version + 5000"
        " WHERE notification_id = %s",
        position,
    )


def moved(raw: Raw, position: int) -> None:
    raw("UPDATE ledger_events SET originator_id = 'zz' WHERE notification_id = %s", position)


def renamed(raw: Raw, position: int) -> None:
    raw("UPDATE ledger_events SET topic = 'other' WHERE notification_id = %s", position)


def swapped(raw: Raw, position: int) -> None:
    for old, new in ((position, -1), (position + 1, position), (-1, position + 1)):
        raw("UPDATE ledger_events SET notification_id = %s WHERE notification_id = %s", new, old)


def cut(raw: Raw, position: int) -> None:
    raw("DELETE FROM ledger_events WHERE notification_id >= %s", position)


def shifted(raw: Raw, position: int) -> None:
    raw(
        "UPDATE ledger_events SET notification_id = -notification_id - 1"
        " WHERE notification_id >= %s",
        position,
    )
    raw("UPDATE ledger_events SET notification_id = -notification_id WHERE notification_id < 0")


MUTATIONS: list[Callable[[Raw, int], None]] = [
    flipped,
    deleted,
    renumbered,
    moved,
    renamed,
    swapped,
    cut,
    shifted,
]
