"""Any sequence of commits leaves a store as it leaves a plain list."""

import uuid
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runledger.store import Store
from runledger.store.protocol import Append, Conflicted, Recorded, StreamWrite
from tests.store.samples import beat

pytestmark = pytest.mark.slow

# Of one write: how far its expected version is off, and how many events it has.
writes = st.tuples(st.sampled_from([0, 0, 0, 0, -1, 1, 4]), st.integers(1, 3))
# Of one commit: appends as lists of (stream, write); no stream in two appends.
commits = st.lists(st.integers(0, 5), unique=True, min_size=1).flatmap(
    lambda streams: st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from(streams), writes), min_size=1, max_size=8
    )
)


def plan(commit: list[tuple[int, int, tuple[int, int]]]) -> list[list[tuple[int, int, int]]]:
    """Group a commit into appends; a stream stays with the append that it came with first."""
    appends: dict[int, list[tuple[int, int, int]]] = {}
    owners: dict[int, int] = {}
    for number, stream, (off, size) in commit:
        owner = owners.setdefault(stream, number)
        appends.setdefault(owner, []).append((stream, off, size))
    return list(appends.values())


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(sequence=st.lists(commits, max_size=6))
def test_a_store_does_what_a_list_does(
    store: Store, sequence: list[list[tuple[int, int, tuple[int, int]]]]
) -> None:
    run, ids = uuid.uuid4().hex, count()
    start = store.head()
    expected_log: list[tuple[str, int, bytes]] = []
    versions = dict.fromkeys((f"{run}-{n}" for n in range(6)), 0)
    for commit in sequence:
        appends: list[Append] = []
        outcomes: list[tuple[int, int] | None] = []
        for planned in plan(commit):
            left, ok, made, new = dict(versions), True, [], []
            for number, off, size in planned:
                stream = f"{run}-{number}"
                expected = max(0, left[stream] + off)
                ok = ok and expected == left[stream]
                events = tuple(beat(f"{run}/{next(ids)}") for _ in range(size))
                made.append(StreamWrite(stream, expected, events))
                new += [(stream, v, e.facts) for v, e in enumerate(events, expected + 1)]
                left[stream] = expected + size
            appends.append(tuple(made))
            if ok:
                versions = left
                outcomes.append((len(expected_log) + 1, len(expected_log) + len(new)))
                expected_log += new
            else:
                outcomes.append(None)
        for verdict, outcome, append in zip(store.append(appends), outcomes, appends, strict=True):
            if outcome is None:
                assert isinstance(verdict, Conflicted)
                assert (verdict.stream, verdict.expected) in [w[:2] for w in map(_place, append)]
                assert verdict.found != verdict.expected
            else:
                assert verdict == Recorded(start + outcome[0], start + outcome[1])
    rows = store.read_log(start, 10_000)
    assert [(r.stream, r.version, r.facts) for r in rows] == expected_log
    assert [r.position for r in rows] == list(range(start + 1, store.head() + 1))
    for stream, version in versions.items():
        assert [r.version for r in store.read_stream(stream)] == list(range(1, version + 1))


def _place(write: StreamWrite) -> tuple[str, int]:
    return write.stream, write.expected
