"""Blobs, leadership and checkpoints: the same on every store."""

from collections.abc import Callable
from contextlib import suppress
from threading import Thread

from runledger.store import Store
from runledger.store.protocol import Recorded
from tests.store.samples import append

OpenStores = Callable[[], Store]


def test_a_blob_is_kept_once_under_its_digest(store: Store) -> None:
    data = bytes(range(256)) * 4_096
    assert store.get_blob("ab" * 32) is None
    store.put_blob("ab" * 32, "image/png", data)
    store.put_blob("ab" * 32, "image/gif", b"other")
    assert store.get_blob("ab" * 32) == ("image/png", data)
    assert store.head() == 0


def test_blobs_are_kept_while_events_are_appended(store: Store) -> None:
    failures: list[Exception] = []

    def keep() -> None:
        try:
            for n in range(50):
                store.put_blob(f"{n:064x}", "image/png", b"%d" % n)
        except Exception as e:
            failures.append(e)

    threads = [Thread(target=keep) for _ in range(2)]
    for thread in threads:
        thread.start()
    for version in range(50):
        store.append([append("a", version)])
    for thread in threads:
        thread.join()
    assert failures == []
    assert [store.get_blob(f"{n:064x}") for n in (0, 49)] == [
        ("image/png", b"0"),
        ("image/png", b"49"),
    ]


def test_one_of_two_holders_leads(open_stores: OpenStores) -> None:
    one, two = open_stores(), open_stores()
    with one.leadership("callbacks") as leads:
        assert leads
        with two.leadership("callbacks") as leads_too, one.leadership("callbacks") as leads_twice:
            assert (leads_too, leads_twice) == (False, False)
        with two.leadership("projections") as other:
            assert other
    with two.leadership("callbacks") as leads:
        assert leads


def test_leadership_ends_with_its_block_also_by_an_exception(open_stores: OpenStores) -> None:
    one, two = open_stores(), open_stores()
    with suppress(KeyError), one.leadership("callbacks"):
        raise KeyError
    with two.leadership("callbacks") as leads:
        assert leads


def test_a_leader_appends_and_others_append_meanwhile(open_stores: OpenStores) -> None:
    one, two = open_stores(), open_stores()
    with one.leadership("ledger_events"):
        assert one.append([append("a", 0)]) == [Recorded(1, 1)]
        assert two.append([append("a", 1)]) == [Recorded(2, 2)]


def test_a_leader_knows_that_it_leads(open_stores: OpenStores) -> None:
    one, two = open_stores(), open_stores()
    assert not one.leads("callbacks")
    with one.leadership("callbacks"):
        assert one.leads("callbacks")
        assert not one.leads("projections")
        with two.leadership("callbacks"), one.leadership("callbacks"):
            assert not two.leads("callbacks")
        assert one.leads("callbacks")
    assert not one.leads("callbacks")


def test_a_follower_finds_the_position_that_it_saved_last(open_stores: OpenStores) -> None:
    one, two = open_stores(), open_stores()
    assert one.checkpoint("callbacks") == 0
    one.save_checkpoint("callbacks", 7)
    one.save_checkpoint("callbacks", 2**40)
    one.save_checkpoint("other", 1)
    assert two.checkpoint("callbacks") == 2**40
    assert two.checkpoint("other") == 1
    assert two.head() == 0
