"""Opening a store: what is there, what is missing, what is refused, and who else opens it."""

import os
import signal
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random
from subprocess import run
from typing import Any

import psycopg
import pytest

from runledger.errors import InvalidArgument, StoreIsNewer, StoreUnavailable, UnsafeSetting
from runledger.store import Store, open_store
from runledger.store.postgres.address import parse
from runledger.store.protocol import Recorded
from tests.store.conftest import Raw, connected
from tests.store.samples import append
from tests.store.workers import lead, lead_and_fork, open_and_append, working


def test_a_store_is_made_where_none_is_and_opened_where_one_is(store_url: str) -> None:
    with closing(open_store(store_url)) as store:
        store.append([append("a", 0)])
    with closing(open_store(store_url, create=False)) as store:
        assert store.head() == 1


def test_a_store_that_is_not_there_is_not_made_unasked(store_url: str) -> None:
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match=r"no such file|no ledger in schema"):
            open_store(store_url, create=False)


@pytest.mark.parametrize(
    "url", ["", "runs.db", "/runs.db", "sqlite://runs.db", "sqlite:runs.db", "mysql://h/db"]
)
def test_another_kind_of_url_is_refused(url: str) -> None:
    with pytest.raises(
        InvalidArgument,
        match=r"^store: expected sqlite:///path/to/file.db, postgresql://user@host/database, or archive:f",
    ):
        open_store(url)


def test_a_newer_layout_is_refused_naming_both_versions(
    store: Store, store_url: str, raw: Raw
) -> None:
    store.append([append("a", 0)])
    raw("UPDATE ledger_meta SET value = '3' WHERE key = 'schema_version'")
    for create in (True, False):
        with pytest.raises(
            StoreIsNewer, match=r"expected layout version 2 or older, found 3; use the version"
        ):
            open_store(store_url, create=create)


# SQLite


@pytest.mark.parametrize("path", ["", ":memory:", "x/:memory:"])
def test_a_ledger_in_memory_is_refused(path: str) -> None:
    with pytest.raises(StoreUnavailable, match="expected the path of a file"):
        open_store(f"sqlite:///{path}")


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=rf"no such directory '{tmp_path}/not/there'"):
        open_store(f"sqlite:///{tmp_path}/not/there/runs.db")
    assert list(tmp_path.iterdir()) == []


def test_a_directory_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="unable to open database file"):
        open_store(f"sqlite:///{tmp_path}")


def test_a_file_of_another_kind_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "letter.txt"
    file.write_text("Dear Alice, " * 1_000)
    for create in (True, False):
        with pytest.raises(StoreUnavailable, match="file is not a database"):
            open_store(f"sqlite:///{file}", create=create)
    assert file.read_text() == "Dear Alice, " * 1_000
    assert list(tmp_path.iterdir()) == [file]


def test_another_program_s_database_is_no_store_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "places.db"
    with closing(sqlite3.connect(file)) as db:
        db.execute("CREATE TABLE places (name)")
    before = file.read_bytes()
    with pytest.raises(StoreUnavailable, match="found a SQLite database of another program"):
        open_store(f"sqlite:///{file}", create=False)
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_a_path_may_be_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with closing(open_store("sqlite:///runs.db")) as store:
        store.append([append("a", 0)])
    assert (tmp_path / "runs.db").exists()


# PostgreSQL


@pytest.mark.parametrize("value", ["y", "Yes", "t", "true", "on", "1"])
def test_the_library_s_own_functions_are_refused(
    postgres: str, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("POSTGRES_ENABLE_DB_FUNCTIONS", value)
    with pytest.raises(
        UnsafeSetting,
        match=rf"^POSTGRES_ENABLE_DB_FUNCTIONS: .* expected it unset, found '{value}'",
    ):
        open_store(postgres)


def test_a_missing_database_is_named(postgres: str) -> None:
    with pytest.raises(StoreUnavailable, match='database "nowhere" does not exist'):
        open_store(postgres.replace("/postgres?", "/nowhere?"))


def test_a_server_that_is_down_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=rf"{tmp_path}/.s.PGSQL.5432.* failed"):
        open_store(f"postgresql:///db?host={tmp_path}")
    with pytest.raises(StoreUnavailable, match=r"127.0.0.1.*Connection refused"):
        open_store("postgresql://u@127.0.0.1:1/db")


@pytest.mark.parametrize(
    "schema", ["Mixed", "1st", "a-b", "a.b", "", "a%20b", "x" * 64, "public%0a", "ünï"]
)
def test_a_schema_that_would_have_to_be_quoted_is_refused(postgres: str, schema: str) -> None:
    with pytest.raises(InvalidArgument, match=r"^store: schema: expected a lower-case name"):
        open_store(f"{postgres}&schema={schema}")


@pytest.fixture
def role(postgres: str) -> Any:
    """Runs SQL as a superuser; the role `clerk` may do nothing yet."""
    with psycopg.connect(postgres, autocommit=True) as db:
        db.execute("CREATE ROLE clerk LOGIN")
        yield lambda text: db.execute(text.encode())
        db.execute("DROP SCHEMA IF EXISTS desk CASCADE")
        db.execute("DROP OWNED BY clerk")
        db.execute("DROP ROLE clerk")


def as_clerk(postgres: str) -> str:
    return postgres.replace("//postgres:@", "//clerk:@") + "&schema=desk"


def test_a_role_that_may_not_make_a_schema_is_told_so(postgres: str, role: Any) -> None:
    with pytest.raises(StoreUnavailable, match="permission denied for database"):
        open_store(as_clerk(postgres))


def test_a_schema_that_somebody_made_for_the_ledger_is_used(postgres: str, role: Any) -> None:
    role("CREATE SCHEMA desk AUTHORIZATION clerk")
    with closing(open_store(as_clerk(postgres))) as store:
        assert store.append([append("a", 0)]) == [Recorded(1, 1)]


def test_tables_that_may_not_be_read_are_named(postgres: str, role: Any) -> None:
    open_store(f"{postgres}&schema=desk").close()
    role("GRANT USAGE ON SCHEMA desk TO clerk")
    with pytest.raises(StoreUnavailable, match="permission denied for table ledger_meta"):
        open_store(as_clerk(postgres))


def test_a_server_whose_default_isolation_is_stricter_makes_no_difference(
    postgres: str, role: Any
) -> None:
    role("CREATE SCHEMA desk AUTHORIZATION clerk")
    role("ALTER ROLE clerk SET default_transaction_isolation = 'serializable'")
    with (
        closing(open_store(as_clerk(postgres))) as one,
        closing(open_store(as_clerk(postgres))) as two,
    ):
        ((level,),) = one._recorder.connect().execute("SHOW transaction_isolation").fetchall()  # type: ignore[attr-defined]
        assert level == "read committed"
        for version in range(0, 20, 2):
            assert one.append([append("a", version)]) == [Recorded(version + 1, version + 1)]
            assert two.append([append("a", version + 1)]) == [Recorded(version + 2, version + 2)]


def test_a_setting_in_the_url_reaches_the_server(postgres: str) -> None:
    keywords = parse(f"{postgres}&options=-c%20statement_timeout%3D7s").keywords
    with psycopg.connect(**keywords) as db:
        assert db.execute("SHOW statement_timeout").fetchone() == ("7s",)


# Secrets

SECRETS = [
    "postgresql://u:hunter2@127.0.0.1:1/db",
    "postgresql://u:hunter2@[::1]:1/db?connect_timeout=2",
    "postgres://u@127.0.0.1:1/db?password=hunter2",
    "postgresql://u@127.0.0.1:1/db?sslpassword=hunter2",
    "postgresql://u:hunter2%23x@127.0.0.1:1/db",
    "postgresql://u:hunter2#x@127.0.0.1:1/db",
    "postgresql://u:hunter2%zz@127.0.0.1:1/db",
    "postgresql://u:hunter2@[::1/db",
    "postgresql://u:hunter2@127.0.0.1:1/db?unheard=of",
    "postgresql://u:hunter2@127.0.0.1:1/db?schema=Mixed",
    "mysql://u:hunter2@127.0.0.1/db",
    "postgresql:u:hunter2@127.0.0.1/db",
    "u:hunter2@127.0.0.1/db",
]


@pytest.mark.parametrize("url", SECRETS)
def test_a_password_never_appears_in_an_error_nor_in_what_caused_it(url: str) -> None:
    with pytest.raises((InvalidArgument, StoreUnavailable)) as caught:
        open_store(url)
    error: BaseException | None = caught.value
    while error is not None:
        assert "hunter2" not in f"{error!r} {error}"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def test_a_password_never_appears_in_the_url_of_a_store(postgres: str) -> None:
    secret = postgres.replace("postgres:@", "postgres:hunter2@") + "&schema=secrets"
    with closing(open_store(secret)) as store:
        assert "hunter2" not in store.url
        assert "hunter2" not in repr(store.facts())
        reader = store.log_reader()
        reader.close()
        with closing(open_store(store.url, create=False)) as again:
            assert again.url == store.url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:p@h:5433/db", "postgresql://u@h:5433/db?schema=public"),
        ("postgres:///db?host=/run/pg&schema=s", "postgresql:///db?host=/run/pg&schema=s"),
        ("postgresql://u@[::1]/db", "postgresql://u@[::1]/db?schema=public"),
        ("postgresql://h1:1,h2:2/db", "postgresql:///db?host=h1%2Ch2&port=1,2&schema=public"),
        ("postgresql://a%40b:p@h/a%20b", "postgresql://a%40b@h/a%20b?schema=public"),
    ],
)
def test_an_address_is_shown_so_that_it_can_be_used(url: str, shown: str) -> None:
    assert parse(url).shown == shown
    assert parse(shown) == parse(shown)._replace(shown=shown)


# Several processes


@pytest.mark.parametrize("attempt", range(10))
def test_processes_that_make_the_same_store_at_once_all_open_it(
    store_url: str, attempt: int
) -> None:
    with working(open_and_append, store_url, count=6) as workers:
        for worker in workers:
            assert worker.told() == "ready"
        for worker in workers:
            worker.pipe.send("go")
        verdicts = [worker.told() for worker in workers]
    assert sorted(verdicts) == [Recorded(n, n) for n in range(1, 7)]


def test_a_vain_attempt_in_the_leader_s_own_process_does_not_loosen_the_lock(
    open_stores: Callable[[], Store], store_url: str
) -> None:
    one, two = open_stores(), open_stores()
    with one.leadership("callbacks") as leads:
        assert leads
        with two.leadership("callbacks") as leads_too:
            assert not leads_too
        with working(lead, store_url) as (other,):
            assert other.told() is False


def expect_taken_over(store: Store) -> None:
    """Wait for the lease to run out, as another dispatcher does; fail if it never does."""
    for _ in range(2_000):
        with store.leadership("callbacks", 1.0) as leads:
            if leads:
                return
        time.sleep(0.01)
    pytest.fail("the lease is still held")


def test_the_lease_of_a_killed_leader_runs_out(
    open_stores: Callable[[], Store], store_url: str
) -> None:
    store = open_stores()
    with working(lead, store_url, 1.0) as (leader,):
        assert leader.told() is True
        with store.leadership("callbacks") as leads:
            assert not leads
        leader.kill()
        expect_taken_over(store)


def test_a_stopped_leader_is_followed_by_another_and_knows_it_when_it_goes_on(
    open_stores: Callable[[], Store], store_url: str
) -> None:
    store = open_stores()
    with working(lead, store_url, 1.0) as (leader,):
        assert leader.told() is True
        os.kill(leader.process.pid or 0, signal.SIGSTOP)
        expect_taken_over(store)
        with store.leadership("callbacks") as leads:
            assert leads
            os.kill(leader.process.pid or 0, signal.SIGCONT)
            leader.pipe.send("do you lead?")
            assert leader.told() is False


def test_a_forked_child_does_not_keep_the_lease_of_its_killed_parent(
    open_stores: Callable[[], Store], store_url: str
) -> None:
    store = open_stores()
    with working(lead_and_fork, store_url, 1.0) as (leader,):
        child = leader.told()
        try:
            leader.kill()
            expect_taken_over(store)
            os.kill(child, 0)  # it was there all the time
        finally:
            os.kill(child, signal.SIGKILL)


def test_a_lease_is_renewed_for_as_long_as_its_holder_lives(
    open_stores: Callable[[], Store],
) -> None:
    one, two = open_stores(), open_stores()
    with one.leadership("callbacks", 0.6) as leads:
        assert leads
        begun = time.monotonic()
        while time.monotonic() < begun + 1.5:
            assert one.leads("callbacks")
            with two.leadership("callbacks", 0.6) as leads_too:
                assert not leads_too
            time.sleep(0.02)


def test_one_file_by_two_names_has_one_lease(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "folder").symlink_to("data")
    (tmp_path / "link.db").symlink_to("data/s.db")
    with closing(open_store(f"sqlite:///{tmp_path}/data/s.db")) as store:
        for other in ("folder/s.db", "link.db"):
            with (
                closing(open_store(f"sqlite:///{tmp_path}/{other}")) as by_another_name,
                store.leadership("callbacks") as leads,
                by_another_name.leadership("callbacks") as leads_too,
            ):
                assert (leads, leads_too) == (True, False)


def test_a_store_whose_maker_was_killed_is_made_by_the_next(
    store_url: str,
) -> None:
    random = Random(3)
    for number in range(20):
        url = f"{store_url}{number}"
        with working(open_and_append, url) as (maker,):
            assert maker.told() == "ready"
            maker.pipe.send("go")
            time.sleep(random.random() * 0.03)  # the kill falls anywhere in the making
            maker.kill()
        with closing(open_store(url)) as store:
            head = store.head()
            assert head in (0, 1)
            assert store.append([append("a", 0)])[0].__class__ is Recorded
            with pytest.raises(Exception, match="the ledger is append-only"):
                change(url)


def change(url: str) -> None:
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as file:
            file.execute("DELETE FROM ledger_events")
    else:
        with connected(url) as server:
            server.execute("DELETE FROM ledger_events")


FORGETFUL = """
import sys
import time
from runledger.store import open_store
from tests.store.samples import append
store = open_store(sys.argv[1])
store.append([append("a", 0, 100)])
reader = store.log_reader()
batch = reader.read(0, 100, 100)
list(store.read_stream("a"))
leadership = store.leadership("callbacks")
leadership.__enter__()
if sys.argv[2] == "raise":
    raise SystemExit(3)
"""


@pytest.mark.parametrize(("end", "code"), [("fall off", 0), ("raise", 3)])
def test_a_program_that_closes_nothing_ends_without_a_word(
    store_url: str, end: str, code: int
) -> None:
    command = [sys.executable, "-c", FORGETFUL, store_url, end]
    ended = run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.stdout, ended.stderr, ended.returncode) == ("", "", code)
