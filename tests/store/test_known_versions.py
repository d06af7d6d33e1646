"""Appends that go on from what a store wrote itself skip the look at the stream, and nothing else."""

from collections.abc import Callable

import pytest

from runledger.store import Store, known_versions
from runledger.store.known_versions import KnownVersions
from runledger.store.protocol import Conflicted, Recorded
from tests.store.conftest import Raw
from tests.store.samples import append, write

OpenStores = Callable[[], Store]


def test_where_another_process_has_gone_on_that_request_alone_conflicts(
    open_stores: OpenStores,
) -> None:
    mine, theirs = open_stores(), open_stores()
    mine.append([append("a", 0), append("b", 0)])
    theirs.append([append("a", 1)])
    first, second, third = mine.append([append("b", 1), append("a", 1), append("c", 0, 2)])
    assert second == Conflicted("a", 1, 2)
    assert isinstance(first, Recorded)
    assert isinstance(third, Recorded)
    assert [row[1:3] for row in mine.read_log(3, 9)] == [("b", 2), ("c", 1), ("c", 2)]
    assert mine.append([append("a", 2)])[0].__class__ is Recorded


def test_where_another_process_took_a_new_stream_the_whole_request_conflicts(
    open_stores: OpenStores,
) -> None:
    mine, theirs = open_stores(), open_stores()
    theirs.append([append("run", 0, 3)])
    assert mine.append([(write("agent", 0), write("run", 0))]) == [Conflicted("run", 0, 3)]
    assert mine.read_stream("agent") == []


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_what_was_known_is_forgotten_with_the_connection(
    store: Store, open_stores: OpenStores, raw: Raw
) -> None:
    store.append([append("a", 0, 3)])
    # As where a server takes over that never got the last commit.
    raw("ALTER TABLE ledger_events DISABLE TRIGGER USER")
    raw("DELETE FROM ledger_events WHERE originator_version = 3")
    raw("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
    assert store.append([append("a", 3)]) == [Conflicted("a", 3, 2)]


def test_only_appends_that_go_on_from_there_are_sure() -> None:
    known = KnownVersions()
    assert known.after([append("a", 0, 2), (write("b", 0), write("b", 1))]) == {"a": 2, "b": 2}
    known.learn({"a": 2})
    assert known.after([append("a", 2), append("new", 0)]) == {"a": 3, "new": 1}
    for expected in (0, 1, 3):
        assert known.after([append("a", expected)]) is None
    assert known.after([append("unknown", 1)]) is None
    assert known.after([(write("a", 2), write("a", 2))]) is None
    known.learn_from([append("c", 0, 4), append("d", 0)], [Recorded(1, 4), Conflicted("d", 0, 1)])
    assert known.after([append("c", 4)]) == {"c": 5}
    assert known.after([append("d", 1)]) is None


def test_no_more_is_kept_than_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_versions, "VERSIONS_MAX", 3)
    known = KnownVersions()
    for number in range(9):
        known.learn({f"{number}": 1})
        assert known.after([append(f"{number}", 1)]) is not None
    assert sum(known.after([append(f"{n}", 1)]) is not None for n in range(9)) <= 3
