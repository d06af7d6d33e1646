"""Closing a store, also under readers and writers; and what it tells of itself."""

from collections.abc import Callable
from itertools import pairwise
from threading import Event, Thread

import pytest

from runledger.errors import StoreUnavailable
from runledger.store import Store
from tests.store.closing import close_under
from tests.store.samples import append

OpenStores = Callable[[], Store]


def test_a_closed_store_refuses_everything(open_stores: OpenStores) -> None:
    store = open_stores()
    store.append([append("a", 0)])
    store.close()
    store.close()
    for use in (
        lambda: store.append([append("a", 1)]),
        lambda: store.read_stream("a"),
        lambda: store.read_log(0, 1),
        store.head,
        store.facts,
        lambda: store.put_blob("ab" * 32, "image/png", b""),
        lambda: store.get_blob("ab" * 32),
        lambda: store.checkpoint("callbacks"),
        lambda: store.save_checkpoint("callbacks", 1),
    ):
        with pytest.raises(StoreUnavailable, match="closed"):
            use()
    assert open_stores().head() == 1


def test_closing_under_readers_and_writers_is_told_to_each(open_stores: OpenStores) -> None:
    store = open_stores()
    uses: list[Callable[[int], object]] = [
        lambda n: store.append([append("a", n)]),
        lambda _: store.read_stream("a", upto=50),
        lambda _: store.head(),
        lambda n: store.put_blob(f"{n:064x}", "image/png", b"x"),
    ]
    failures = [e for e in close_under(store, uses) if not isinstance(e, StoreUnavailable)]
    assert failures == []


def test_readers_never_see_half_an_append(open_stores: OpenStores) -> None:
    store = open_stores()
    done = Event()
    torn: list[list[int]] = []

    def read() -> None:
        while not done.is_set():
            versions = [row.version for row in store.read_stream("a")]
            if len(versions) % 5 or any(b - a != 1 for a, b in pairwise(versions)):
                torn.append(versions)

    threads = [Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for version in range(0, 100, 5):
        store.append([append("a", version, 5)])
    done.set()
    for thread in threads:
        thread.join()
    assert torn == []


def test_facts_tell_that_commits_are_durable(store: Store) -> None:
    facts = store.facts()
    assert facts["store"] in ("sqlite", "postgresql")
    assert facts["durable"] == "yes"
    assert all(isinstance(value, str) for value in facts.values())
