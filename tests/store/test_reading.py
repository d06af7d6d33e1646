"""Streams, the log, and the log as Arrow: the same on every store."""

from collections.abc import Callable

import duckdb
import pytest

from runledger.errors import StoreUnavailable, UndecodableEvent
from runledger.events import HeartbeatRecorded, MessagesRecorded
from runledger.store import Store
from runledger.store.protocol import Recorded, StoredEvent, StreamWrite
from tests.store.conftest import Raw
from tests.store.samples import append, beat, said, stamp

OpenStores = Callable[[], Store]


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
