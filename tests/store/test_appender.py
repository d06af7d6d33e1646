"""The appender: many tasks, few commits, and to each its own verdict."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from typing import Any

import pytest

from runledger.errors import StoreRefused, StoreUnavailable
from runledger.store import Store
from runledger.store.appender import MAX_EVENTS, Appender
from runledger.store.protocol import Append, Conflicted, Recorded, StreamWrite, Verdict
from tests.store.samples import append, beat, write


class Watched:
    """A real store whose appends can be held back, and are counted."""

    epoch = 0

    def __init__(self, store: Store) -> None:
        self._store = store
        self.commits: list[list[Append]] = []
        self.reached = Event()
        self.gate = Event()
        self.gate.set()
        self.fails: Callable[[], None] = lambda: None

    def append(self, appends: Sequence[Append]) -> list[Verdict]:
        self.reached.set()
        self.gate.wait()
        self.commits.append(list(appends))
        self.fails()
        return self._store.append(appends)


@pytest.fixture
def watched(store: Store) -> Watched:
    return Watched(store)


@contextmanager
def appending(store: Any) -> Iterator[Appender]:
    appender = Appender(store)
    try:
        yield appender
    finally:
        appender.close()


async def submit_together(
    appender: Appender, watched: Watched, appends: Sequence[Append]
) -> list[Any]:
    """Submit while one commit is under way, so that all of them wait for the next."""
    watched.gate.clear()
    watched.reached.clear()
    first = asyncio.create_task(appender.submit(append("first", 0)))
    await asyncio.to_thread(watched.reached.wait)
    tasks = [asyncio.create_task(appender.submit(one)) for one in appends]
    await asyncio.sleep(0)  # each task runs up to its wait
    watched.gate.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    await first
    return outcomes


def test_what_waits_during_a_commit_goes_into_the_next_one(store: Store, watched: Watched) -> None:
    with appending(watched) as appender:
        appends = [append(f"run-{n}", 0) for n in range(500)]
        verdicts = asyncio.run(submit_together(appender, watched, appends))
    assert verdicts == [Recorded(n, n) for n in range(2, 502)]
    assert [len(commit) for commit in watched.commits] == [1, 500]
    assert store.head() == 501


def test_a_lone_append_does_not_wait_for_others(watched: Watched) -> None:
    with appending(watched) as appender:
        for version in range(3):
            assert asyncio.run(appender.submit(append("a", version))) == Recorded(
                version + 1, version + 1
            )
    assert len(watched.commits) == 3


def test_a_conflict_reaches_its_caller_alone(store: Store, watched: Watched) -> None:
    store.append([append("taken", 0)])
    with appending(watched) as appender:
        outcomes = asyncio.run(
            submit_together(appender, watched, [append("a", 0), append("taken", 0), append("b", 0)])
        )
    assert outcomes == [Recorded(3, 3), Conflicted("taken", 0, 1), Recorded(4, 4)]


def test_what_the_database_refuses_fails_alone(store: Store, watched: Watched) -> None:
    refused = (StreamWrite("no text: \ud83d", 0, (beat("e"),)),)
    with appending(watched) as appender:
        one, two, three = asyncio.run(
            submit_together(appender, watched, [append("a", 0), refused, append("b", 0)])
        )
    assert isinstance(two, StoreRefused)
    assert isinstance(one, Recorded)
    assert isinstance(three, Recorded)
    assert sorted(row.stream for row in store.read_log(0, 9)) == ["a", "b", "first"]


def test_appends_to_one_stream_keep_the_order_they_came_in(watched: Watched, store: Store) -> None:
    appends = [append("a", version) for version in range(20)]
    with appending(watched) as appender:
        verdicts = asyncio.run(submit_together(appender, watched, appends))
    assert all(isinstance(verdict, Recorded) for verdict in verdicts)
    assert [row.event.event_id for row in store.read_stream("a")] == [
        f"a/{version}" for version in range(1, 21)
    ]


def test_an_append_never_overtakes_one_that_waits_for_a_stream_of_both(
    watched: Watched, store: Store
) -> None:
    # The second waits for `a`; the third must wait for the second, though `b` itself is free.
    appends = [append("a", 0), (write("a", 1), write("b", 0)), append("b", 1), append("c", 0)]
    with appending(watched) as appender:
        verdicts = asyncio.run(submit_together(appender, watched, appends))
    assert all(isinstance(verdict, Recorded) for verdict in verdicts)
    assert [[w.stream for one in commit for w in one] for commit in watched.commits] == [
        ["first"],
        ["a", "c"],
        ["a", "b"],
        ["b"],
    ]


def test_a_commit_has_a_size_and_a_larger_append_goes_alone(watched: Watched) -> None:
    half = MAX_EVENTS // 2
    appends = [append("a", 0, half), append("b", 0, half), append("c", 0, MAX_EVENTS + 1)]
    appends += [append("d", 0), append("e", 0)]
    with appending(watched) as appender:
        verdicts = asyncio.run(submit_together(appender, watched, appends))
    assert all(isinstance(verdict, Recorded) for verdict in verdicts)
    sizes = [[len(w.events) for one in commit for w in one] for commit in watched.commits]
    assert sizes == [[1], [half, half], [MAX_EVENTS + 1], [1, 1]]


def test_a_store_that_is_unavailable_is_told_to_every_caller_and_may_come_back(
    watched: Watched, store: Store
) -> None:
    def down() -> None:
        raise StoreUnavailable("down")

    with appending(watched) as appender:
        asyncio.run(appender.submit(append("a", 0)))
        watched.fails = down
        with pytest.raises(StoreUnavailable, match=r"^down$"):
            asyncio.run(appender.submit(append("a", 1)))
        watched.fails = lambda: None
        assert asyncio.run(appender.submit(append("a", 1))) == Recorded(2, 2)


def test_a_bug_in_the_store_reaches_the_caller_and_the_appender_lives_on(
    watched: Watched, store: Store
) -> None:
    def bug() -> None:
        raise ZeroDivisionError

    with appending(watched) as appender:
        watched.fails = bug
        with pytest.raises(StoreRefused, match="ZeroDivisionError") as caught:
            asyncio.run(appender.submit(append("a", 0)))
        assert isinstance(caught.value.__cause__, ZeroDivisionError)
        watched.fails = lambda: None
        assert asyncio.run(appender.submit(append("a", 0))) == Recorded(1, 1)


def test_a_cancelled_caller_disturbs_no_other_and_takes_nothing_back(
    watched: Watched, store: Store
) -> None:
    async def work(appender: Appender) -> Verdict:
        watched.gate.clear()
        first = asyncio.create_task(appender.submit(append("a", 0)))
        await asyncio.to_thread(watched.reached.wait)
        given_up = asyncio.create_task(appender.submit(append("b", 0)))
        other = asyncio.create_task(appender.submit(append("c", 0)))
        await asyncio.sleep(0)
        given_up.cancel()
        watched.gate.set()
        with pytest.raises(asyncio.CancelledError):
            await given_up
        await first
        return await other

    with appending(watched) as appender:
        assert asyncio.run(work(appender)) == Recorded(3, 3)
    assert [row.stream for row in store.read_log(0, 9)] == ["a", "b", "c"]


def test_closing_records_what_was_submitted_and_takes_no_more(
    watched: Watched, store: Store
) -> None:
    async def work(appender: Appender) -> list[Verdict]:
        watched.gate.clear()
        tasks = [asyncio.create_task(appender.submit(append(f"run-{n}", 0))) for n in range(9)]
        await asyncio.to_thread(watched.reached.wait)
        closing = asyncio.create_task(asyncio.to_thread(appender.close))
        watched.gate.set()
        await closing
        with pytest.raises(StoreUnavailable, match=r"^the ledger is closed$"):
            await appender.submit(append("late", 0))
        return await asyncio.gather(*tasks)

    assert len(asyncio.run(work(Appender(watched)))) == 9  # type: ignore[arg-type]
    assert store.head() == 9


def test_event_loops_of_several_threads_share_one_appender(store: Store) -> None:
    async def work(appender: Appender, mine: int) -> list[Verdict]:
        tasks = (appender.submit(append(f"loop-{mine}-run-{n}", 0)) for n in range(50))
        return await asyncio.gather(*tasks)

    with appending(store) as appender, ThreadPoolExecutor(4) as threads:
        loops = [threads.submit(asyncio.run, work(appender, mine)) for mine in range(4)]
        verdicts = [verdict for loop in loops for verdict in loop.result()]
    assert sorted(verdicts) == [Recorded(n, n) for n in range(1, 201)]


def test_a_loop_that_is_gone_does_not_end_the_appender(watched: Watched, store: Store) -> None:
    with appending(watched) as appender:
        watched.gate.clear()
        loop = asyncio.new_event_loop()
        task = loop.create_task(appender.submit(append("a", 0)))
        loop.run_until_complete(asyncio.sleep(0))
        watched.reached.wait()
        task.cancel()
        loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
        loop.close()
        watched.gate.set()
        assert asyncio.run(appender.submit(append("a", 1))) == Recorded(2, 2)
