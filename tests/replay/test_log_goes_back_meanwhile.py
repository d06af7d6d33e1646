"""A log that goes back between any two calls of a reader: no event of the new log is passed over."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing

import pytest

from runledger import Actor, RunLedger
from runledger.callbacks.outbox import NAME, Outbox
from runledger.errors import LogDiverged
from runledger.events import RunCompleted, RunCreated
from runledger.ids import new_id
from runledger.store import Store, open_store
from runledger.store.codec import encode
from runledger.store.keeper import keep
from runledger.store.protocol import Append, StreamWrite
from runledger.store.tiles import WIDTH, damaged
from tests.store.going_back import before_call, go_back
from tests.store.samples import append, beat, stamp

RUN = new_id("run")
ACME = Actor(organization="acme")
CALLS = range(1, 9)
"""The reader makes more calls than these for one page."""


def run(run_id: str, callback_url: str | None) -> Append:
    """A run that completed."""
    created = RunCreated(**stamp(f"{run_id}/1"), callback_url=callback_url)
    completed = RunCompleted(**stamp(f"{run_id}/2"), stop_reason="end_turn")
    return (StreamWrite(run_id, 0, (encode(created), encode(completed))),)


def loses(store_url: str, common: int, *others: Append) -> Callable[[], None]:
    """Return what takes the newest events away, and lets the log go on with others."""

    def lose() -> None:
        go_back(store_url, common)
        other = open_store(store_url)
        other.append(others)
        other.close()

    return lose


@pytest.mark.parametrize("call", CALLS)
def test_the_outbox_passes_over_no_callback(
    open_stores: Callable[[], Store], store_url: str, call: int
) -> None:
    store = open_stores()
    store.append([run("before", None)])
    common = store.head()
    store.append([run(f"lost-{n}", None) for n in range(3)])
    new = [run(f"new-{n}", "https://example.org/") for n in range(5)]
    before_call(store, call, loses(store_url, common, *new))
    outbox = Outbox(store)
    for _ in range(6):
        try:
            outbox.fold(outbox.read())
            outbox.save(outbox.checkpoint)
        except LogDiverged:
            outbox = Outbox(store)
    expected = {f"new-{n}" for n in range(5)}
    assert {*outbox.pending} == expected
    again = Outbox(open_stores())
    again.fold(again.read())
    assert {*again.pending} == expected


@pytest.mark.parametrize("call", CALLS)
def test_a_follower_passes_over_no_event(store_url: str, call: int) -> None:
    async def follow() -> None:
        async with RunLedger.open(store_url) as ledger:
            store = ledger.store
            store.append([append("before", 0, 3)])
            common = store.head()
            store.append([append("lost", 0, 3)])
            before_call(store, call, loses(store_url, common, append("new", 0, 9)))
            seen: list[str] = []
            for _ in range(3):
                try:
                    log = ledger.follow_log(after=common, idle_seconds=0.01, actor=ACME)
                    async with aclosing(log) as events:
                        idle = 0
                        async for event in events:
                            idle = 0 if event else idle + 1
                            if idle == 5:
                                break
                            seen += [event.event.event_id] if event else []
                        break
                except LogDiverged:
                    seen.clear()
            assert [name for name in seen if name.startswith("new")] == [
                f"new/{n}" for n in range(1, 10)
            ]

    asyncio.run(follow())


@pytest.mark.parametrize("call", CALLS)
def test_a_follower_of_a_run_passes_over_no_event(store_url: str, call: int) -> None:
    created = encode(RunCreated(**stamp("r/1")))
    ended = encode(RunCompleted(**stamp("new/9"), stop_reason="end_turn"))
    new = (StreamWrite(RUN, 2, (*(beat(f"new/{n}") for n in range(1, 9)), ended)),)

    async def follow() -> list[str]:
        async with RunLedger.open(store_url) as ledger:
            store = ledger.store
            store.append([(StreamWrite(RUN, 0, (created, beat("r/2"))),)])
            common = store.head()
            store.append([(StreamWrite(RUN, 2, (beat("lost/1"), beat("lost/2"))),)])
            before_call(store, call, loses(store_url, common, new), ("read_stream",))
            seen: list[str] = []
            while True:
                try:
                    run = ledger.follow_run(RUN, idle_seconds=0.01, actor=ACME)
                    async with aclosing(run) as events:
                        async for event in events:
                            seen += [event.event.event_id] if event else []
                    return seen
                except LogDiverged:
                    seen.clear()

    assert asyncio.run(follow()) == ["r/1", "r/2", *(f"new/{n}" for n in range(1, 10))]


@pytest.mark.parametrize("call", range(1, 8))
def test_the_keeper_keeps_no_event_that_is_lost(
    open_stores: Callable[[], Store], store_url: str, call: int
) -> None:
    store = open_stores()
    store.append([append("before", 0, 10)])
    store.append([append("lost", 0, 2 * WIDTH)])
    before_call(store, call, loses(store_url, 10, append("new", 0, 3 * WIDTH)))
    for _ in range(5):
        keep(store, 8 * WIDTH, rest=True)
    assert store.tiles_end().size == 10 + 3 * WIDTH
    assert list(damaged(store)) == []


def test_a_checkpoint_is_not_saved_in_a_log_that_lacks_the_event(store: Store) -> None:
    store.append([run("a", None)])
    read = Outbox(store).read().mark
    assert read is not None
    assert not store.save_checkpoint(NAME, 2, read._replace(event_id="other", digest="other"))
    assert not store.save_checkpoint(NAME, 3, read._replace(position=3))
    assert store.checkpoint(NAME) == 0
    assert store.save_checkpoint(NAME, 2, read)
    assert store.checkpoint(NAME) == 2
