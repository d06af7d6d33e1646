"""The tile of 256 events names each one that a disk has altered since."""

from collections.abc import Callable
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runledger.errors import LogDamaged
from runledger.store import Store, open_store
from runledger.store.commitments import commit, pack, unpack
from runledger.store.keeper import keep
from runledger.store.protocol import StreamWrite
from runledger.store.tiles import WIDTH, check_of, damaged, tile_of
from tests.store.going_back import go_back
from tests.store.samples import append, said

Raw = Callable[..., list[tuple[object, ...]]]
EVENTS = 4 * WIDTH + 40


@pytest.fixture
def kept(store: Store) -> Store:
    """A store of four tiles and some events more."""
    store.append([append("a", 0, EVENTS // 2)])
    store.append([append("b", 0, EVENTS - EVENTS // 2)])
    assert keep(store, EVENTS) == 4 * WIDTH
    return store


def alter(raw: Raw, store_url: str, position: int) -> None:
    """Change a byte of an event's facts, as a disk may."""
    sqlite = store_url.startswith("sqlite")
    if sqlite:
        raw("DROP TRIGGER ledger_events_no_update")
    else:
        raw("ALTER TABLE ledger_events DISABLE TRIGGER USER")
    ((facts,),) = raw("SELECT state FROM ledger_events WHERE notification_id = %s", position)
    assert isinstance(facts, bytes)
    spoilt = facts[:-2] + bytes([facts[-2] ^ 1]) + facts[-1:]
    raw("UPDATE ledger_events SET state = %s WHERE notification_id = %s", spoilt, position)


def test_a_sound_log_is_what_was_kept(kept: Store) -> None:
    assert list(damaged(kept)) == []
    assert kept.tiles_end() == (4 * WIDTH, 4 * WIDTH, 0)
    assert keep(kept, EVENTS) == 0


def test_the_newest_events_are_kept_by_a_tile_that_grows(
    kept: Store, raw: Raw, store_url: str
) -> None:
    assert keep(kept, EVENTS, rest=True) == 40
    begun = kept.tile(4)
    assert begun is not None
    assert (begun.events, kept.tiles_end().size) == (40, EVENTS)
    assert keep(kept, EVENTS, rest=True) == 0
    kept.append([append("c", 0, WIDTH)])
    assert keep(kept, EVENTS) == WIDTH - 40
    grown = kept.tile(4)
    assert grown is not None
    assert grown.leaves.startswith(begun.leaves)
    assert grown.commitments()[:40] == begun.commitments()
    assert list(damaged(kept)) == []
    alter(raw, store_url, 4 * WIDTH + 5)
    assert [fault.position for fault in damaged(kept)] == [4 * WIDTH + 5]


def test_a_tile_that_another_keeper_has_grown_is_left(kept: Store, store_url: str) -> None:
    keep(kept, EVENTS, rest=True)
    begun = kept.tile(4)
    kept.append([append("c", 0, 10)])
    rows = kept.read_log(4 * WIDTH, WIDTH, contents=True)
    with closing(open_store(store_url)) as other:
        assert keep(other, EVENTS, rest=True) == 10
    assert not kept.put_tile(tile_of(4, rows, False, begun))
    assert list(damaged(kept)) == []


def test_a_damaged_event_is_not_grown_over(kept: Store, raw: Raw, store_url: str) -> None:
    keep(kept, EVENTS, rest=True)
    alter(raw, store_url, 4 * WIDTH + 5)
    kept.append([append("c", 0, WIDTH)])
    with pytest.raises(LogDamaged, match="positions 1,025 to 1,064 are not what was kept"):
        keep(kept, EVENTS)


def test_contents_that_went_or_came_are_told(kept: Store, raw: Raw, store_url: str) -> None:
    alter(raw, store_url, 3)
    first = EVENTS + 1
    kept.append([(StreamWrite("c", 0, (said("m1", "hello"), said("m2", "bye"))),)])
    assert keep(kept, EVENTS, rest=True) == 42
    raw("UPDATE ledger_events SET contents = NULL WHERE notification_id = %s", first)
    raw("UPDATE ledger_events SET contents = %s WHERE notification_id = %s", b"{}", 10)
    raw("UPDATE ledger_events SET contents = %s WHERE notification_id = %s", b"{}", first + 1)
    assert {fault.position for fault in damaged(kept)} == {3, 10, first, first + 1}


@given(st.lists(st.none() | st.binary(max_size=9), max_size=WIDTH))
def test_commitments_are_read_as_they_were_packed(contents: list[bytes | None]) -> None:
    made = [commit(one) for one in contents]
    packed = pack(made)
    assert unpack(packed, len(made)) == made
    assert all(m is None or m.holds(one) for m, one in zip(made, contents, strict=True))
    for spoilt in (packed + b"x", packed[:-1]):
        if spoilt != packed:
            with pytest.raises(ValueError):
                unpack(spoilt, len(made))


@pytest.mark.parametrize("position", [1, WIDTH, WIDTH + 1, 700, 4 * WIDTH])
def test_a_byte_that_changed_is_told_with_its_position(
    kept: Store, raw: Raw, store_url: str, position: int
) -> None:
    alter(raw, store_url, position)
    (fault,) = damaged(kept)
    assert fault.position == position
    assert "facts differ" in fault.detail


def test_contents_that_changed_are_told(kept: Store, raw: Raw, store_url: str) -> None:
    alter(raw, store_url, 3)
    raw("UPDATE ledger_events SET contents = %s WHERE notification_id = %s", b"{}x", 9)
    assert {fault.position for fault in damaged(kept)} == {3, 9}


def test_damage_to_a_tile_accuses_no_event(kept: Store, raw: Raw) -> None:
    raw("UPDATE ledger_tiles SET crc = crc + 1 WHERE tile = 1")
    ((leaves,),) = raw("SELECT leaves FROM ledger_tiles WHERE tile = 2")
    assert isinstance(leaves, bytes)
    raw("UPDATE ledger_tiles SET leaves = %s WHERE tile = 2", b"\0" + leaves[1:])
    found = list(damaged(kept))
    assert [fault.position for fault in found] == [None, None]
    assert all("damaged; the events are as they were kept" in fault.detail for fault in found)


def test_an_event_that_is_gone_is_told(kept: Store, raw: Raw, store_url: str) -> None:
    alter(raw, store_url, 300)
    if store_url.startswith("sqlite"):
        raw("DROP TRIGGER ledger_events_no_delete")
    raw("DELETE FROM ledger_events WHERE notification_id = %s", 300)
    (fault,) = damaged(kept)
    assert "expected 256 events" in fault.detail


def test_two_keepers_keep_each_event_once(kept: Store, store_url: str) -> None:
    kept.append([append("c", 0, 5 * WIDTH)])
    other = open_store(store_url)
    rows = kept.read_log(4 * WIDTH, WIDTH, contents=True)
    assert other.put_tile(tile_of(4, rows, False))
    assert not kept.put_tile(tile_of(4, rows, False))
    assert keep(kept, 10 * WIDTH) == 4 * WIDTH
    assert keep(other, 10 * WIDTH) == 0
    assert list(damaged(kept)) == []
    other.close()


def test_a_tile_of_events_that_the_log_has_lost_is_not_kept(kept: Store, store_url: str) -> None:
    kept.append([append("c", 0, 2 * WIDTH)])
    lost = kept.read_log(4 * WIDTH, WIDTH, contents=True)
    go_back(store_url, 4 * WIDTH + 50)
    assert not kept.put_tile(tile_of(4, lost, False))
    with closing(open_store(store_url)) as other:
        other.append([append("d", 0, 2 * WIDTH)])
    assert not kept.put_tile(tile_of(4, lost, False))
    assert keep(kept, EVENTS) == 2 * WIDTH
    assert list(damaged(kept)) == []


def test_a_tile_is_not_kept_before_the_one_before_it_is_whole(kept: Store) -> None:
    kept.append([append("c", 0, 2 * WIDTH)])
    rows = kept.read_log(5 * WIDTH, WIDTH, contents=True)
    assert not kept.put_tile(tile_of(5, rows, False))
    assert kept.put_tile(tile_of(4, kept.read_log(4 * WIDTH, 7, contents=True), False))
    assert not kept.put_tile(tile_of(5, rows, False))
    assert keep(kept, EVENTS) == 2 * WIDTH - 7
    assert not kept.put_tile(tile_of(6, rows[1:], False))
    assert list(damaged(kept)) == []


def test_a_store_of_layout_1_gets_its_tiles_late(store: Store, raw: Raw, store_url: str) -> None:
    store.append([append("a", 0, WIDTH)])
    raw("DROP TABLE ledger_tiles")
    raw("DELETE FROM ledger_meta WHERE key = 'tiles_after'")
    raw("UPDATE ledger_meta SET value = '1' WHERE key = 'schema_version'")
    again = open_store(store_url)
    again.append([append("b", 0, WIDTH)])
    assert keep(again, EVENTS) == 2 * WIDTH
    assert [tile.late for tile in again.tiles(0, 9)] == [True, False]
    assert raw("SELECT value FROM ledger_meta WHERE key = 'schema_version'") == [("2",)]
    again.close()


def test_the_check_depends_on_every_column(kept: Store) -> None:
    rows = kept.read_log(0, WIDTH)
    for change in (
        {"position": 9_999},
        {"version": 9_999},
        {"stream": "z"},
        {"topic": "z"},
        {"facts": b"{}"},
    ):
        changed = [*rows[:7], rows[7]._replace(**change), *rows[8:]]
        assert check_of(changed) != check_of(rows)
