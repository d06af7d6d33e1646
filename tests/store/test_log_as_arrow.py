"""The log as Arrow is the log: the same bytes in the same order, wherever it is cut."""

import sqlite3
import uuid
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runledger.errors import StoreRefused
from runledger.store import Store
from runledger.store.protocol import EncodedEvent, StreamWrite
from runledger.store.sqlite.log_reader import CHUNK, SQLiteLogReader
from runledger.store.sqlite.store import SQLiteStore
from tests.store.conftest import Raw
from tests.store.samples import append

pytestmark = pytest.mark.slow

on_sqlite = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
examples = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
# PostgreSQL has no NUL in a text; no database has half of a surrogate pair.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=9)
facts = st.binary(max_size=40) | st.sampled_from([b"", b"\0", b"\xff\0\xc3", b"{}"])
events = st.lists(st.tuples(texts, texts, facts), max_size=12)
INSERT = (
    "INSERT INTO ledger_events"
    " (notification_id, originator_id, originator_version, topic, state) VALUES (%s, %s, %s, %s, %s)"
)


def rows(batch: Any) -> list[tuple[Any, ...]]:
    """The rows as the read models' database sees them."""
    if batch is None:
        return []
    with duckdb.connect() as db:
        db.register("batch", batch)
        return db.execute("FROM batch").fetchall()


def log(store: Store, after: int, upto: int, limit: int) -> list[tuple[Any, ...]]:
    """The same by the way that makes a Python object of every value."""
    return [tuple(row[:5]) for row in store.read_log(after, limit, upto=upto)]


@examples
@given(made=events, bounds=st.tuples(*[st.integers(0, 13)] * 3))
def test_any_events_are_read_as_they_were_stored(
    store: Store, made: list[tuple[str, str, bytes]], bounds: tuple[int, int, int]
) -> None:
    start = store.head()
    for stream, topic, data in made:
        write = StreamWrite(f"{uuid.uuid4()}{stream}", 0, (EncodedEvent(topic, data, b"\0"),))
        store.append([(write,)])
    after, upto, limit = start + bounds[0], start + bounds[1], bounds[2]
    reader = store.log_reader()
    read = rows(reader.read(after, upto, limit))
    reader.close()
    assert read == log(store, after, upto, limit)


@on_sqlite
@examples
@given(
    made=st.lists(st.tuples(st.text(st.characters(exclude_categories=["Cs"])), facts), max_size=9),
    gaps=st.lists(st.sampled_from([1, 1, 1, 2, 70_000, 2**40]), min_size=9, max_size=9),
    version=st.integers(-(2**63), 2**63 - 1),
    length=st.integers(400, 900),
    limit=st.integers(0, 10),
)
def test_what_sqlite_holds_is_read_whole_however_little_fits_into_a_value(
    store: Store,
    raw: Raw,
    made: list[tuple[str, bytes]],
    gaps: list[int],
    version: int,
    length: int,
    limit: int,
) -> None:
    start = store.head()
    position = start
    for (text, data), gap in zip(made, gaps, strict=False):
        position += gap
        raw(INSERT, position, f"{uuid.uuid4()}{text}"[:60], version, text[:60], data)
    reader = store.log_reader()
    _allow(reader, length)
    batch = reader.read(start, 2**63 - 1, limit)
    assert rows(batch) == log(store, start, 2**63 - 1, limit)
    assert rows(batch) == rows(batch)
    reader.close()


def _allow(reader: Any, length: int) -> None:
    assert isinstance(reader, SQLiteLogReader)
    assert reader._reading is not None
    reader._reading.db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, length)


@on_sqlite
def test_a_batch_may_be_longer_than_what_sqlite_puts_together_at_once(store: Store) -> None:
    store.append([append("a", 0, 2 * CHUNK + 1)])
    reader = store.log_reader()
    for limit in (CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK):
        batch = reader.read(1, 2 * CHUNK + 1, limit)
        positions = [row[0] for row in rows(batch)]
        assert positions == list(range(2, 2 + min(limit, 2 * CHUNK)))
    reader.close()


@on_sqlite
def test_an_event_that_no_value_can_hold_is_refused(store: Store) -> None:
    store.append([(StreamWrite("a", 0, (EncodedEvent("x", b"x" * 1_000, None),)),)])
    reader = store.log_reader()
    _allow(reader, 900)
    with pytest.raises(StoreRefused, match="too big"):
        reader.read(0, 9, 9)
    reader.close()


@on_sqlite
@pytest.mark.parametrize("column", ["originator_id", "topic"])
def test_text_that_is_no_unicode_is_refused(store: Store, raw: Raw, column: str) -> None:
    assert isinstance(store, SQLiteStore)
    values = {"originator_id": "'a'", "topic": "'x'"} | {column: "CAST(%s AS TEXT)"}
    statement = (
        "INSERT INTO ledger_events (originator_id, originator_version, topic, state)"
        f" VALUES ({values['originator_id']}, %s, {values['topic']}, '')"
    )
    # Two halves of a letter, which are no letter though they stand side by side.
    for version, half in enumerate((b"\xc3", b"\xa9"), 1):
        parameters = (half, version) if column == "originator_id" else (version, half)
        raw(statement, *parameters)
    reader = store.log_reader()
    with pytest.raises(StoreRefused, match="can't decode byte 0xc3"):
        reader.read(0, 9, 9)
    reader.close()
