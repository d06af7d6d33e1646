"""What every store owes, on every store."""

from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from threading import Barrier, Event, Thread

import duckdb
import psycopg
import pytest

from runledger.errors import InvalidArgument, StoreRefused, StoreUnavailable, UndecodableEvent
from runledger.events import HeartbeatRecorded, MessagesRecorded
from runledger.store import Store
from runledger.store.protocol import Conflicted, Recorded, StoredEvent, StreamWrite, Verdict
from tests.store.conftest import Raw
from tests.store.samples import append, beat, said, stamp, write

OpenStores = Callable[[], Store]


def places(store: Store) -> list[tuple[int, str, int]]:
    return [row[:3] for row in store.read_log(0, 10_000)]


# Appends and their verdicts


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


# Reading


def test_a_stream_is_read_between_two_versions(store: Store) -> None:
    store.append([append("other", 0, 3), append("run-a", 0, 5)])

    def versions(**bounds: int) -> list[int]:
        return [row.version for row in store.read_stream("run-a", **bounds)]

    assert versions() == [1, 2, 3, 4, 5]
    assert versions(after=2) == [3, 4, 5]
    assert versions(upto=2) == [1, 2]
    assert versions(after=1, upto=4) == [2, 3, 4]
    assert versions(after=4, upto=4) == []
    assert versions(after=9) == []
    assert store.read_stream("run-nobody") == []


def test_a_stored_event_has_position_stream_version_and_event(store: Store) -> None:
    store.append([append("other", 0), append("run-a", 0)])
    expected = HeartbeatRecorded(**stamp("run-a/1"))
    assert store.read_stream("run-a") == [StoredEvent(2, "run-a", 1, expected)]


def test_a_stream_is_read_without_contents_on_demand(store: Store) -> None:
    store.append([(StreamWrite("run-a", 0, (said("e1", "hello"),)),)])
    (full,) = store.read_stream("run-a")
    (bare,) = store.read_stream("run-a", contents=False)
    assert isinstance(full.event, MessagesRecorded)
    assert [body.text() for body in full.event.bodies] == ["hello"]
    assert bare.event == full.event.model_copy(update={"bodies": []})


def test_an_event_that_cannot_be_decoded_names_its_place_and_breaks_nothing_else(
    store: Store, raw: Raw
) -> None:
    store.append([append("run-a", 0)])
    raw(
        "INSERT INTO ledger_events (originator_id, originator_version, topic, state)"
        " VALUES ('run-a', 2, 'run.teleported', %s)",
        b"{}",
    )
    with pytest.raises(
        UndecodableEvent, match=r"^event 'run.teleported' at version 2 of 'run-a': no such topic"
    ):
        store.read_stream("run-a")
    assert len(store.read_stream("run-a", upto=1)) == 1
    topics = [row.topic for row in store.read_log(0, 9)]
    assert topics == ["run.heartbeat_recorded", "run.teleported"]
    assert store.append([append("run-a", 2)]) == [Recorded(3, 3)]


def test_the_log_is_read_after_a_position_up_to_a_limit(store: Store) -> None:
    store.append([append("a", 0, 3), append("b", 0, 3)])
    assert [row.position for row in store.read_log(0, 100)] == [1, 2, 3, 4, 5, 6]
    assert [row.position for row in store.read_log(2, 3)] == [3, 4, 5]
    assert store.read_log(6, 100) == []
    assert store.read_log(99, 100) == []


def test_the_log_is_read_by_topics(store: Store) -> None:
    store.append([(StreamWrite("a", 0, (beat("e1"), said("e2", "x"), beat("e3"))),)])

    def positions(*topics: str, limit: int = 9) -> list[int]:
        return [row.position for row in store.read_log(0, limit, topics)]

    assert positions("run.messages_recorded") == [2]
    assert positions("run.heartbeat_recorded", limit=1) == [1]
    assert positions("run.heartbeat_recorded", "run.messages_recorded") == [1, 2, 3]
    assert positions('it\'s "none"') == []


def test_the_log_leaves_contents_out_unless_asked(store: Store) -> None:
    event = said("e1", "hello")
    store.append([(StreamWrite("a", 0, (event,)),)])
    (bare,) = store.read_log(0, 9)
    (full,) = store.read_log(0, 9, contents=True)
    assert (bare.topic, bare.facts, bare.contents) == (event.topic, event.facts, None)
    assert full.contents == event.contents


def test_the_head_is_the_last_position(store: Store) -> None:
    assert store.head() == 0
    store.append([append("a", 0, 3), append("a-conflict", 1)])
    assert store.head() == 3


def test_what_one_store_appends_another_reads(open_stores: OpenStores) -> None:
    writer, reader = open_stores(), open_stores()
    assert reader.head() == 0
    writer.append([append("a", 0)])
    assert reader.head() == 1
    assert len(reader.read_stream("a")) == 1
    assert reader.append([append("a", 1)]) == [Recorded(2, 2)]


# The log as Arrow


def test_a_batch_is_read_by_name_as_a_table(store: Store) -> None:
    event = said("e1", "hello")
    store.append([append("a", 0, 2), (StreamWrite("ünï", 0, (event,)),)])
    reader = store.log_reader()
    batch = reader.read(0, 100, 100)
    with duckdb.connect() as db:
        db.register("batch", batch)
        db.execute("CREATE TABLE copied AS FROM batch")
        columns = db.execute("DESCRIBE copied").fetchall()
        rows = db.execute("FROM copied ORDER BY position").fetchall()
    reader.close()
    assert [column[:2] for column in columns] == [
        ("position", "BIGINT"),
        ("stream", "VARCHAR"),
        ("version", "BIGINT"),
        ("topic", "VARCHAR"),
        ("facts", "BLOB"),
    ]
    assert [row[:3] for row in rows] == [(1, "a", 1), (2, "a", 2), (3, "ünï", 1)]
    assert rows[2][3:] == (event.topic, event.facts)


def test_batches_have_bounds_and_a_limit(store: Store) -> None:
    store.append([append("a", 0, 10)])
    reader = store.log_reader()

    def positions(after: int, upto: int, limit: int) -> list[int]:
        batch = reader.read(after, upto, limit)
        if batch is None:
            return []
        with duckdb.connect() as db:
            db.register("batch", batch)
            return [row[0] for row in db.execute("SELECT position FROM batch").fetchall()]

    assert positions(0, 10, 100) == list(range(1, 11))
    assert positions(3, 7, 100) == [4, 5, 6, 7]
    assert positions(3, 7, 2) == [4, 5]
    assert positions(9, 99, 100) == [10]
    for empty in ((10, 99, 100), (5, 5, 100), (7, 3, 100), (0, 10, 0)):
        assert reader.read(*empty) is None
    assert positions(0, 10, 1) == [1]
    reader.close()


def test_a_reader_sees_what_is_appended_after_it_was_opened(store: Store) -> None:
    reader = store.log_reader()
    assert reader.read(0, 100, 100) is None
    store.append([append("a", 0)])
    assert reader.read(0, 100, 100) is not None
    reader.close()


def test_a_batch_may_be_left_unread(store: Store) -> None:
    store.append([append("a", 0, 500)])
    reader = store.log_reader()
    reader.read(0, 500, 500)
    batch = reader.read(0, 500, 3)
    with duckdb.connect() as db:
        db.register("batch", batch)
        assert db.execute("SELECT count(*) FROM batch").fetchall() == [(3,)]
    reader.read(0, 500, 500)
    reader.close()


def test_a_closed_reader_refuses_to_read(store: Store) -> None:
    reader = store.log_reader()
    reader.close()
    reader.close()
    with pytest.raises(StoreUnavailable, match="log reader is closed"):
        reader.read(0, 1, 1)


# Blobs


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


# Leadership


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


# Checkpoints


def test_a_follower_finds_the_position_that_it_saved_last(open_stores: OpenStores) -> None:
    one, two = open_stores(), open_stores()
    assert one.checkpoint("callbacks") == 0
    one.save_checkpoint("callbacks", 7)
    one.save_checkpoint("callbacks", 2**40)
    one.save_checkpoint("other", 1)
    assert two.checkpoint("callbacks") == 2**40
    assert two.checkpoint("other") == 1
    assert two.head() == 0


# Append-only, enforced by the database


@pytest.mark.parametrize(
    ("statement", "deed"),
    [
        ("UPDATE ledger_events SET topic = 'x'", "updated"),
        ("UPDATE ledger_events SET contents = NULL WHERE notification_id = 1", "updated"),
        ("DELETE FROM ledger_events", "deleted"),
        ("DELETE FROM ledger_events WHERE originator_id = 'a'", "deleted"),
        (
            "INSERT INTO ledger_events (originator_id, originator_version, topic, state)"
            " VALUES ('a', 1, 'x', '') ON CONFLICT (originator_id, originator_version)"
            " DO UPDATE SET topic = 'x'",
            "updated",
        ),
    ],
)
def test_the_database_itself_refuses_to_change_an_event(
    store: Store, raw: Raw, statement: str, deed: str
) -> None:
    store.append([append("a", 0, 2)])
    before = store.read_log(0, 9, contents=True)
    with pytest.raises(Exception) as caught:
        raw(statement)
    # The upsert of an existing row is caught by the guard against REPLACE on SQLite.
    assert message(caught.value) in {
        f"the ledger is append-only: an event is never {deed}",
        "the ledger is append-only: an event is never replaced",
    }
    assert store.read_log(0, 9, contents=True) == before


def message(error: BaseException) -> str:
    return (error.diag.message_primary if isinstance(error, psycopg.Error) else str(error)) or ""


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_the_log_cannot_be_truncated(store: Store, raw: Raw) -> None:
    store.append([append("a", 0)])
    with pytest.raises(psycopg.errors.RaiseException) as caught:
        raw("TRUNCATE ledger_events")
    assert message(caught.value) == "the ledger is append-only: an event is never truncated"
    assert store.head() == 1


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("values", ["(1, 'b', 1, 'x', '', NULL)", "(NULL, 'a', 1, 'x', '', NULL)"])
def test_an_event_cannot_be_replaced(store: Store, raw: Raw, values: str) -> None:
    store.append([append("a", 0)])
    before = store.read_log(0, 9)
    with pytest.raises(Exception, match=r"^the ledger is append-only: an event is never replaced$"):
        raw(f"INSERT OR REPLACE INTO ledger_events VALUES {values}")
    assert store.read_log(0, 9) == before


# Closing


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
    failures: list[BaseException] = []
    busy = Barrier(5, timeout=60)

    def use(what: Callable[[int], object]) -> None:
        with suppress(StoreUnavailable):
            try:
                what(0)
                busy.wait()
                for n in range(1, 1_000_000):
                    what(n)
            except StoreUnavailable:
                raise
            except BaseException as e:
                failures.append(e)

    uses: list[Callable[[int], object]] = [
        lambda n: store.append([append("a", n)]),
        lambda _: store.read_stream("a", upto=50),
        lambda _: store.head(),
        lambda n: store.put_blob(f"{n:064x}", "image/png", b"x"),
    ]
    threads = [Thread(target=use, args=(what,)) for what in uses]
    for thread in threads:
        thread.start()
    busy.wait()
    store.close()
    for thread in threads:
        thread.join()
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
