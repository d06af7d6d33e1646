"""Opening a store: stores that exist, are missing, are refused, or are opened by others at once."""

import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path
from random import Random
from subprocess import run

import pytest

from runledger.errors import InvalidArgument, StoreIsNewer, StoreUnavailable
from runledger.store import Store, open_store
from runledger.store.protocol import Recorded
from tests.store.conftest import Raw, connected
from tests.store.samples import append
from tests.store.workers import open_and_append, working


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


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize(("end", "code"), [("fall off", 0), ("raise", 3)])
def test_a_program_that_closes_nothing_ends_without_a_word(
    store_url: str, end: str, code: int
) -> None:
    command = [sys.executable, "-c", FORGETFUL, store_url, end]
    ended = run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.stdout, ended.stderr, ended.returncode) == ("", "", code)
