"""A reader that moves its cursor to the last position it saw never passes an event.

Writers in processes of their own append at random while readers follow from the beginning. The
same check goes red where the lock is taken out of one of the two statements that append.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from threading import Event, Thread

import duckdb
import pytest

from runledger.store import Store, open_store
from runledger.store.postgres.address import parse
from runledger.store.postgres.statements import queries, tables
from tests.store.conftest import connected
from tests.store.workers import Tally, append_at_random, working

Place = tuple[int, str, int]
Read = Callable[[int], list[Place]]

WRITERS = 4
LOCK = re.compile(r"^    PERFORM pg_advisory_xact_lock\(.*\n", re.MULTILINE)
LAST_WORDS = "SELECT c.request, c.stream, c.expected, c.found FROM conflict c;\n"
INSERT_LOCK = re.compile(r"pg_advisory_xact_lock\(.*\)$", re.MULTILINE)
INSERT_LAST_WORD = "max(notification_id)"


def faults(log: Sequence[Place], seen: Sequence[Place], tallies: Sequence[Tally]) -> list[str]:
    """Return all that is wrong with what a reader saw of a log, and with what writers were told."""
    acknowledged = {place for tally in tallies for place in tally.acknowledged}
    found = [f"{place}: acknowledged, not in the log" for place in acknowledged - set(log)]
    found += [f"{place}: committed, never seen" for place in set(log) - set(seen)]
    found += [f"{place}: seen {n} times" for place, n in Counter(seen).items() if n > 1]
    if [place[0] for place in seen] != sorted(place[0] for place in seen):
        found.append("seen out of order")
    versions: dict[str, list[int]] = defaultdict(list)
    for _, stream, version in seen:
        versions[stream].append(version)
    for stream, numbers in versions.items():
        if numbers != list(range(1, len(numbers) + 1)):
            found.append(f"{stream}: seen with versions {numbers}")
    return found + [error for tally in tallies for error in tally.errors]


@contextmanager
def following(read: Read) -> Iterator[list[Place]]:
    """Read from the beginning in a thread until the block ends, and then to the end of the log."""
    seen: list[Place] = []
    ended = Event()

    def follow() -> None:
        cursor = 0
        while True:
            last_look = ended.is_set()
            places = read(cursor)
            seen.extend(places)
            if places:
                cursor = places[-1][0]
            elif last_look:
                return

    thread = Thread(target=follow)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


@contextmanager
def rows_of(store: Store) -> Iterator[Read]:
    yield lambda after: [(r.position, r.stream, r.version) for r in store.read_log(after, 200)]


@contextmanager
def batches_of(store: Store) -> Iterator[Read]:
    with closing(store.log_reader()) as reader, duckdb.connect() as db:

        def read(after: int) -> list[Place]:
            batch = reader.read(after, 2**62, 200)
            if batch is None:
                return []
            db.register("batch", batch)
            return db.execute("SELECT position, stream, version FROM batch").fetchall()

        yield read


def observe(url: str, rounds: int, insert: str | None = None) -> tuple[list[str], int]:
    """Let writers append while two kinds of reader follow; return all faults, and the conflicts."""
    with closing(open_store(url)) as store:
        with (
            rows_of(store) as rows,
            batches_of(store) as batches,
            working(append_at_random, url, rounds, insert, count=WRITERS) as writers,
        ):
            seeds = iter(range(WRITERS))
            assert [writer.told() for writer in writers] == ["ready"] * WRITERS
            with following(rows) as seen, following(batches) as seen_as_batches:
                for writer in writers:
                    writer.pipe.send(next(seeds))
                tallies = [writer.told() for writer in writers]
        log = [(r.position, r.stream, r.version) for r in store.read_log(0, 10**6)]
    found = faults(log, seen, tallies) + faults(log, seen_as_batches, tallies)
    return found, sum(tally.conflicts for tally in tallies)


@pytest.mark.slow
def test_a_reader_that_follows_sees_every_event_once_and_in_order(store_url: str) -> None:
    found, conflicts = observe(store_url, 400)
    assert found == []
    assert conflicts > 0


def linger(url: str, change: Callable[[str], str]) -> str:
    """Make a store whose append function lingers before it commits, and change it further.

    Return the other statement that appends, which lingers as well.
    """
    schema = parse(url).schema
    made = tables(schema).decode()
    assert len(LOCK.findall(made)) == 1
    lingering = made.replace(LAST_WORDS, LAST_WORDS + "    PERFORM pg_sleep(random() * 0.002);\n")
    assert lingering != made
    open_store(url).close()
    with connected(url) as db:
        db.execute(change(lingering).encode())
    insert = queries(schema)["insert"].decode()
    assert insert.count(INSERT_LAST_WORD) == 1
    pause = f"{INSERT_LAST_WORD} + length(pg_sleep(random() * 0.002)::text)"
    return insert.replace(INSERT_LAST_WORD, pause)


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_slow_appends_that_take_the_lock_lose_nothing(store_url: str) -> None:
    insert = linger(store_url, lambda schema: schema)
    found, _ = observe(store_url, 60, insert)
    assert found == []


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_without_the_lock_of_the_function_the_same_reader_passes_events(store_url: str) -> None:
    insert = linger(store_url, lambda schema: LOCK.sub("", schema))
    found, _ = observe(store_url, 60, insert)
    assert any("committed, never seen" in fault for fault in found)


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_without_the_lock_of_the_plain_insert_the_same_reader_passes_events(store_url: str) -> None:
    insert = linger(store_url, lambda schema: schema)
    assert len(INSERT_LOCK.findall(insert)) == 1
    found, _ = observe(store_url, 60, INSERT_LOCK.sub("1", insert))
    assert any("committed, never seen" in fault for fault in found)


def test_the_check_sees_every_kind_of_fault() -> None:
    log = [(1, "a", 1), (2, "b", 1), (3, "a", 2)]
    told = [Tally(list(log), 0, [])]
    assert faults(log, log, told) == []
    assert faults(log, [log[0], log[2]], told) == ["(2, 'b', 1): committed, never seen"]
    assert faults(log, [*log, log[2]], told)[0] == "(3, 'a', 2): seen 2 times"
    assert "seen out of order" in faults(log, [log[1], log[0], log[2]], told)
    assert faults(log, [(1, "a", 1), (2, "b", 1), (3, "a", 3)], told)[-1] == (
        "a: seen with versions [1, 3]"
    )
    assert faults(log[:2], log[:2], told) == ["(3, 'a', 2): acknowledged, not in the log"]
    assert faults(log, log, [Tally([], 0, ["refused"])]) == ["refused"]
