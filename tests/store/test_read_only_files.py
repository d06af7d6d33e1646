"""A SQLite store that cannot be written to from here is read where that is safe, and says why not."""

import asyncio
import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from runledger.callbacks import CallbackSettings, dispatch
from runledger.errors import OnlyRead, StoreUnavailable
from runledger.store import open_store
from runledger.store.protocol import EncodedEvent, StreamWrite

EVENT = EncodedEvent("not.a.topic", b"{}", None)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A store with three events, closed."""
    file = tmp_path / "disk" / "runs ? #1.db"
    file.parent.mkdir()
    with closing(open_store(f"sqlite:///{file}")) as store:
        store.append([(StreamWrite("odd", 0, (EVENT,) * 3),)])
    return file


@pytest.fixture
def read_only(file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The store, of whose folder the system says that it cannot be written to."""
    can = os.access

    def access(path: Any, mode: int) -> bool:
        return not (mode == os.W_OK and Path(path) == file.parent) and can(path, mode)

    monkeypatch.setattr(os, "access", access)
    return file


@contextmanager
def mounted_read_only(disk: Path) -> Iterator[None]:
    """Mount a folder over itself so that it can only be read."""
    for options in (["--bind", str(disk), str(disk)], ["-o", "remount,ro,bind", str(disk)]):
        if subprocess.run(["mount", *options], check=False, capture_output=True).returncode:
            subprocess.run(["umount", "-l", str(disk)], check=False, capture_output=True)
            pytest.skip("mounting a read-only disk needs more rights")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_store_on_a_read_only_disk_is_read(file: Path) -> None:
    with mounted_read_only(file.parent):
        with closing(open_store(f"sqlite:///{file}", create=False)) as store:
            assert (store.head(), len(store.read_log(0, 10))) == (3, 3)
            with closing(store.log_reader()) as reader:
                assert reader.read(0, 3, 10) is not None
            assert store.facts()["journal_mode"] == "read only"
        assert [found.name for found in file.parent.iterdir()] == [file.name]
        with pytest.raises(StoreUnavailable, match="expected a folder that can be written to"):
            open_store(f"sqlite:///{file.parent}/other.db")


def test_what_would_write_is_refused_and_only_an_archive_is_led(read_only: Path) -> None:
    before = read_only.read_bytes()
    with closing(open_store(f"sqlite:///{read_only}")) as store:
        for refused in (
            store.expect_writable,
            lambda: store.append([(StreamWrite("odd", 3, (EVENT,)),)]),
            lambda: store.put_blob("0", "image/png", b""),
            lambda: store.save_checkpoint("callbacks", 3),
        ):
            with pytest.raises(OnlyRead, match="found a file or folder that can only be read"):
                refused()
        for name in ("archive", "callbacks"):
            with store.leadership(name) as leads:
                assert (leads, store.leads(name)) == (name == "archive", name == "archive")
    assert read_only.read_bytes() == before
    assert [found.name for found in read_only.parent.iterdir()] == [read_only.name]


def test_what_a_writer_elsewhere_records_is_seen(file: Path, read_only: Path) -> None:
    # SQLite's own doing: it reads the log that the writer has beside the file.
    with closing(sqlite3.connect(file)) as writer:
        with writer:
            writer.execute("INSERT INTO ledger_meta VALUES ('checkpoint:mine', '7')")
        with closing(open_store(f"sqlite:///{read_only}")) as store:
            assert store.checkpoint("mine") == 7


def test_events_beside_the_file_are_never_left_out(file: Path) -> None:
    with closing(sqlite3.connect(file)) as writer:
        with writer:
            writer.execute("INSERT INTO ledger_meta VALUES ('checkpoint:mine', '7')")
        left = {name: Path(name).read_bytes() for name in (str(file), f"{file}-wal")}
    # As a crash leaves it.
    for name, data in left.items():
        Path(name).write_bytes(data)
    with (
        mounted_read_only(file.parent),
        pytest.raises(StoreUnavailable, match="-wal, which holds what was recorded last; found"),
    ):
        open_store(f"sqlite:///{file}")
    with closing(open_store(f"sqlite:///{file}")) as store:
        assert store.checkpoint("mine") == 7


def test_a_file_that_is_altered_after_all_is_noticed(read_only: Path) -> None:
    with (
        closing(open_store(f"sqlite:///{read_only}")) as store,
        closing(store.log_reader()) as reader,
    ):
        assert store.head() == 3
        with closing(sqlite3.connect(read_only)) as writer, writer:
            writer.execute("INSERT INTO ledger_meta VALUES ('checkpoint:mine', '7')")
        for read in (store.head, lambda: reader.read(0, 3, 10)):
            with pytest.raises(StoreUnavailable, match="found it altered by another process"):
                read()


def test_no_dispatcher_waits_where_no_attempt_could_be_recorded(read_only: Path) -> None:
    waiting = dispatch(f"sqlite:///{read_only}", CallbackSettings())
    with pytest.raises(OnlyRead):
        asyncio.run(asyncio.wait_for(waiting, 120))
