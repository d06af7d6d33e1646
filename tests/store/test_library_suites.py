"""The eventsourcing library's own suites against our recorders and factories, on both databases.

Its suite for aggregate recorders does not apply: it wants no positions from `insert_events`, and
an application recorder owes them.
"""

import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from eventsourcing.domain import EventSourcingError
from eventsourcing.persistence import ApplicationRecorder, IntegrityError, StoredEvent
from eventsourcing.postgres import (
    PostgresAggregateRecorder,
    PostgresDatastore,
    PostgresProcessRecorder,
    PostgresTrackingRecorder,
)
from eventsourcing.sqlite import (
    SQLiteAggregateRecorder,
    SQLiteDatastore,
    SQLiteProcessRecorder,
    SQLiteTrackingRecorder,
)
from eventsourcing.tests.persistence import (
    ApplicationRecorderTestCase,
    InfrastructureFactoryTestCase,
    NonInterleavingNotificationIDsBaseCase,
)
from eventsourcing.utils import Environment, get_topic
from psycopg.conninfo import conninfo_to_dict

from runledger.store.postgres import recorder as postgres_recorder
from runledger.store.sqlite import recorder as sqlite_recorder


class OnSQLite:
    """Makes recorders on a file that is fresh for every test."""

    file: Path

    @pytest.fixture(autouse=True)
    def _database(self, tmp_path: Path) -> None:
        self.file = tmp_path / "runs.db"

    def create_recorder(self) -> ApplicationRecorder:
        recorder = sqlite_recorder.LedgerRecorder(SQLiteDatastore(str(self.file)))
        recorder.create_table()
        self.addCleanup(recorder.datastore.close)  # type: ignore[attr-defined]
        self.addCleanup(recorder.close)  # type: ignore[attr-defined]
        # The library's suite tells its reading threads to stop and does not wait for them: closing
        # the connection that one of them reads from would crash the interpreter.
        self.addCleanup(_join, set(threading.enumerate()))  # type: ignore[attr-defined]
        return recorder


def _join(before: set[threading.Thread]) -> None:
    for thread in set(threading.enumerate()) - before - {threading.current_thread()}:
        thread.join(60)


class OnPostgres:
    """Makes recorders in a schema that is fresh for every test."""

    server: dict[str, Any]
    schema: str

    @pytest.fixture(autouse=True)
    def _database(self, postgres: str) -> Iterator[None]:
        self.server = conninfo_to_dict(postgres)
        self.schema = f"t{uuid.uuid4().hex}"
        yield
        with psycopg.connect(postgres, autocommit=True) as db:
            db.execute(f"DROP SCHEMA IF EXISTS {self.schema} CASCADE")

    def new_originator_id(self) -> str:
        return str(uuid.uuid4())

    def create_recorder(self) -> ApplicationRecorder:
        datastore = PostgresDatastore(
            dbname=self.server["dbname"],
            host=self.server["host"],
            port="",
            user=self.server["user"],
            password="",
            schema=self.schema,
            originator_id_type="text",
            pool_size=2,
            max_overflow=2,
        )
        recorder = postgres_recorder.LedgerRecorder(datastore)
        recorder.create_table()
        self.addCleanup(datastore.close)  # type: ignore[attr-defined]
        self.addCleanup(recorder.close)  # type: ignore[attr-defined]
        return recorder


class ApplicationRecorders(ApplicationRecorderTestCase[Any]):
    """The library's suite, its optional part, and what it leaves open about errors."""

    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()

    def test_an_insert_that_failed_leaves_nothing_and_the_next_one_works(self) -> None:
        recorder = self.create_recorder()
        stream = self.new_originator_id()
        first, second, third = (StoredEvent(stream, n, "topic", b"state") for n in (1, 2, 3))
        recorder.insert_events([first])
        for _ in range(2):
            with pytest.raises(IntegrityError):
                recorder.insert_events([second, first])
        assert recorder.insert_events([second, third]) == [2, 3]
        assert [e.originator_version for e in recorder.select_events(stream)] == [1, 2, 3]

    def test_positions_are_returned_in_the_order_of_the_events(self) -> None:
        recorder = self.create_recorder()
        one, two = self.new_originator_id(), self.new_originator_id()
        events = [StoredEvent(s, v, "topic", b"") for v in (1, 2) for s in (one, two)]
        assert recorder.insert_events(events) == [1, 2, 3, 4]
        stored = recorder.select_notifications(start=None, limit=9)
        assert [(e.originator_id, e.originator_version) for e in stored] == [
            (e.originator_id, e.originator_version) for e in events
        ]

    def test_inserting_nothing_changes_nothing(self) -> None:
        recorder = self.create_recorder()
        assert recorder.insert_events([]) == []
        assert recorder.max_notification_id() is None

    def test_a_subscription_whose_database_is_gone_says_so(self) -> None:
        recorder = self.create_recorder()
        recorder.datastore.close()
        with pytest.raises(EventSourcingError), recorder.subscribe() as subscription:
            next(subscription)


class TestSQLiteRecorder(OnSQLite, ApplicationRecorders):
    pass


class TestPostgresRecorder(OnPostgres, ApplicationRecorders):
    pass


class TestSQLiteOrder(OnSQLite, NonInterleavingNotificationIDsBaseCase):
    insert_num = 400


class TestPostgresOrder(OnPostgres, NonInterleavingNotificationIDsBaseCase):
    insert_num = 400


class OurSQLiteTracking(SQLiteTrackingRecorder):
    """A subclass that the factory must take."""


class OurPostgresTracking(PostgresTrackingRecorder):
    """A subclass that the factory must take."""


class TestSQLiteFactory(OnSQLite, InfrastructureFactoryTestCase[sqlite_recorder.LedgerFactory]):
    def setUp(self) -> None:
        self.env = Environment("Ledger")
        self.env["PERSISTENCE_MODULE"] = get_topic(sqlite_recorder.LedgerFactory)
        self.env["SQLITE_DBNAME"] = str(self.file)
        super().setUp()

    def expected_factory_class(self) -> type[sqlite_recorder.LedgerFactory]:
        return sqlite_recorder.LedgerFactory

    def expected_aggregate_recorder_class(self) -> type[SQLiteAggregateRecorder]:
        return SQLiteAggregateRecorder

    def expected_application_recorder_class(self) -> Any:
        return sqlite_recorder.LedgerRecorder

    def expected_tracking_recorder_class(self) -> type[SQLiteTrackingRecorder]:
        return SQLiteTrackingRecorder

    def tracking_recorder_subclass(self) -> type[SQLiteTrackingRecorder]:
        return OurSQLiteTracking

    def expected_process_recorder_class(self) -> type[SQLiteProcessRecorder]:
        return SQLiteProcessRecorder

    def test_its_recorder_appends(self) -> None:
        recorder = self.factory.application_recorder()
        assert recorder.insert_events([StoredEvent(uuid.uuid4(), 1, "topic", b"state")]) == [1]


class TestPostgresFactory(
    OnPostgres, InfrastructureFactoryTestCase[postgres_recorder.LedgerFactory]
):
    def setUp(self) -> None:
        self.env = Environment("Ledger")
        self.env["PERSISTENCE_MODULE"] = get_topic(postgres_recorder.LedgerFactory)
        self.env["POSTGRES_DBNAME"] = self.server["dbname"]
        self.env["POSTGRES_HOST"] = self.server["host"]
        self.env["POSTGRES_USER"] = self.server["user"]
        self.env["POSTGRES_PASSWORD"] = ""
        self.env["POSTGRES_SCHEMA"] = self.schema
        self.env["ORIGINATOR_ID_TYPE"] = "text"
        with psycopg.connect(**self.server, autocommit=True) as db:
            db.execute(f"CREATE SCHEMA {self.schema}")
        super().setUp()

    def expected_factory_class(self) -> type[postgres_recorder.LedgerFactory]:
        return postgres_recorder.LedgerFactory

    def expected_aggregate_recorder_class(self) -> type[PostgresAggregateRecorder]:
        return PostgresAggregateRecorder

    def expected_application_recorder_class(self) -> Any:
        return postgres_recorder.LedgerRecorder

    def expected_tracking_recorder_class(self) -> type[PostgresTrackingRecorder]:
        return PostgresTrackingRecorder

    def tracking_recorder_subclass(self) -> type[PostgresTrackingRecorder]:
        return OurPostgresTracking

    def expected_process_recorder_class(self) -> type[PostgresProcessRecorder]:
        return PostgresProcessRecorder

    def test_its_recorder_appends(self) -> None:
        recorder = self.factory.application_recorder()
        assert recorder.insert_events([StoredEvent("run-1", 1, "topic", b"state")]) == [1]


# Abstract: a test run must not collect them by their imported names.
del ApplicationRecorderTestCase
del ApplicationRecorders
del InfrastructureFactoryTestCase
del NonInterleavingNotificationIDsBaseCase
