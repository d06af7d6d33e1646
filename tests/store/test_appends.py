"""Appends and their verdicts, the same on every store."""

from collections.abc import Callable
from threading import Barrier, Thread

import pytest

from runledger.errors import InvalidArgument, StoreRefused
from runledger.store import Store
from runledger.store.protocol import Conflicted, Recorded, StreamWrite, Verdict
from tests.store.samples import append, beat, said, write

OpenStores = Callable[[], Store]


def places(store: Store) -> list[tuple[int, str, int]]:
    return [row[:3] for row in store.read_log(0, 10_000)]


def test_an_append_says_where_its_events_lie(store: Store) -> None:
    assert store.append([append("run-a", 0, 2)]) == [Recorded(1, 2)]
    assert store.append([append("run-a", 2, 1)]) == [Recorded(3, 3)]
    assert places(store) == [(1, "run-a", 1), (2, "run-a", 2), (3, "run-a", 3)]


def test_positions_of_one_commit_are_consecutive_in_the_order_given(store: Store) -> None:
    verdicts = store.append([append("b", 0, 2), append("a", 0, 1), append("c", 0, 3)])
    assert verdicts == [Recorded(1, 2), Recorded(3, 3), Recorded(4, 6)]
    assert [stream for _, stream, _ in places(store)] == ["b", "b", "a", "c", "c", "c"]


def test_a_conflict_of_one_request_never_fails_its_neighbours(store: Store) -> None:
    store.append([append("taken", 0, 2)])
    verdicts = store.append([append("a", 0), append("taken", 0), append("b", 0, 2)])
    assert verdicts == [Recorded(3, 3), Conflicted("taken", 0, 2), Recorded(4, 5)]
    assert places(store)[2:] == [(3, "a", 1), (4, "b", 1), (5, "b", 2)]


def test_several_streams_in_one_append_are_recorded_all_or_none(store: Store) -> None:
    store.append([append("taken", 0)])
    verdicts = store.append(
        [
            (write("run-1", 0), write("taken", 0), write("conversation-1", 0)),
            (write("run-2", 0), write("taken", 1), write("conversation-2", 0)),
        ]
    )
    assert verdicts == [Conflicted("taken", 0, 1), Recorded(2, 4)]
    assert [stream for _, stream, _ in places(store)] == [
        "taken",
        "run-2",
        "taken",
        "conversation-2",
    ]


@pytest.mark.parametrize("expected", [0, 1, 3, 4, 2**40])
def test_an_append_at_another_version_conflicts_and_says_what_was_found(
    store: Store, expected: int
) -> None:
    store.append([append("run-a", 0, 2)])
    assert store.append([append("run-a", expected)]) == [Conflicted("run-a", expected, 2)]
    assert store.head() == 2


def test_where_everything_conflicts_nothing_is_recorded(store: Store) -> None:
    store.append([append("a", 0)])
    assert store.append([append("a", 0), append("b", 7)]) == [
        Conflicted("a", 0, 1),
        Conflicted("b", 7, 0),
    ]
    assert store.append([append("a", 1)]) == [Recorded(2, 2)]


def test_no_appends_have_no_verdicts(store: Store) -> None:
    assert store.append([]) == []
    assert store.head() == 0


def test_a_stream_may_come_again_in_one_append_where_the_write_before_left_it(
    store: Store,
) -> None:
    twice = (write("a", 0, 2), write("b", 0), write("a", 2))
    astray = (write("c", 0), write("d", 0), write("c", 5))
    behind = (write("e", 0, 2), write("e", 1))
    assert store.append([twice, astray, behind, append("f", 0)]) == [
        Recorded(1, 4),
        Conflicted("c", 5, 1),
        Conflicted("e", 1, 2),
        Recorded(5, 5),
    ]
    assert places(store) == [(1, "a", 1), (2, "a", 2), (3, "b", 1), (4, "a", 3), (5, "f", 1)]


def test_a_stream_that_comes_again_conflicts_with_others_as_well(store: Store) -> None:
    store.append([append("a", 0, 2)])
    assert store.append([(write("a", 0), write("a", 1))]) == [Conflicted("a", 0, 2)]
    assert store.append([(write("a", 2), write("a", 3))]) == [Recorded(3, 4)]


@pytest.mark.parametrize(("expected", "count"), [(0, 0), (-1, 1)])
def test_a_write_without_events_or_of_a_negative_version_cannot_be_made(
    expected: int, count: int
) -> None:
    with pytest.raises(InvalidArgument, match=rf"^stream 'a': .* found version {expected} and"):
        StreamWrite("a", expected, (beat("e"),) * count)


def test_a_large_commit_is_recorded_whole(store: Store) -> None:
    verdicts = store.append([append(f"run-{n}", 0, 5) for n in range(1_000)])
    assert verdicts == [Recorded(5 * n + 1, 5 * n + 5) for n in range(1_000)]
    assert store.head() == 5_000


def test_stored_bytes_come_back_as_they_were(store: Store) -> None:
    plain, spoken = beat("e1"), said("e2", "Grüße, 🎉 and a \x00")
    odd = "conversation-ünï'; DROP TABLE ledger_events; --"
    store.append([(StreamWrite(odd, 0, (plain, spoken)),)])
    assert [(row.stream, *row[3:]) for row in store.read_log(0, 9, contents=True)] == [
        (odd, *plain),
        (odd, *spoken),
    ]


def test_a_stream_in_two_requests_is_refused_with_nothing_recorded(store: Store) -> None:
    with pytest.raises(StoreRefused):
        store.append([append("a", 0), append("b", 0), append("a", 0)])
    assert store.head() == 0
    assert store.append([append("a", 0)])[0].__class__ is Recorded


def test_a_stream_that_is_no_text_is_refused_with_nothing_recorded(store: Store) -> None:
    with pytest.raises(StoreRefused, match="surrogates not allowed"):
        store.append([append("a", 0), (StreamWrite("cut off: \ud83d", 0, (beat("e"),)),)])
    assert store.head() == 0
    assert store.append([append("a", 0)])[0].__class__ is Recorded


def test_of_two_writers_that_expect_the_same_version_one_is_recorded(
    open_stores: OpenStores,
) -> None:
    stores = [open_stores(), open_stores()]
    verdicts: list[list[Verdict]] = [[], []]
    barrier = Barrier(2, timeout=60)

    def race(mine: int) -> None:
        for version in range(40):
            barrier.wait()
            verdicts[mine] += stores[mine].append([append("run-a", version)])

    threads = [Thread(target=race, args=(n,)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for version, pair in enumerate(zip(*verdicts, strict=True)):
        (won,) = [v for v in pair if isinstance(v, Recorded)]
        (lost,) = [v for v in pair if isinstance(v, Conflicted)]
        assert won.first == won.last
        assert lost == Conflicted("run-a", version, version + 1)
    assert [row[1:] for row in places(stores[0])] == [("run-a", v) for v in range(1, 41)]
