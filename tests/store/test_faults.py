"""Processes that are killed and disks that are full: nothing acknowledged is lost or doubled."""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from subprocess import run
from threading import Thread

import pytest

from runledger.errors import StoreBusy, StoreUnavailable
from runledger.store import Store, open_store
from runledger.store.protocol import Recorded, Verdict
from runledger.store.sqlite import recorder
from tests.store.samples import append
from tests.store.workers import (
    append_for_ever,
    append_until_files_may_not_grow,
    hold_the_write_lock,
    working,
)

pytestmark = pytest.mark.slow

ROUNDS = 50


def test_a_writer_killed_in_fifty_rounds_loses_and_doubles_nothing(
    open_stores: Callable[[], Store], store_url: str
) -> None:
    store = open_stores()
    random = Random(9)
    acknowledged: list[tuple[int, str, int]] = []
    for number in range(ROUNDS):
        stream = f"round-{number}"
        with working(append_for_ever, store_url, stream) as (writer,):
            told = writer.told()
            # The moment of the kill: anywhere in the work on one of the next few appends.
            time.sleep(random.random() * 0.02)
            writer.kill()
            told += [place for places in writer.rest() for place in places]
        acknowledged += told
        seen = {(row.position, row.stream, row.version) for row in store.read_stream(stream)}
        assert {place for place in told if place[1] == stream} <= seen
        # Two events to an append, and one append at most that was recorded and not acknowledged.
        assert len(seen) % 2 == 0
        assert len(seen) - sum(place[1] == stream for place in told) in (0, 2)
    log = store.read_log(0, 10**6)
    places = [(row.position, row.stream, row.version) for row in log]
    assert set(acknowledged) <= set(places)
    assert len(set(places)) == len(places)
    versions: dict[str, list[int]] = {}
    for _, stream, version in places:
        versions.setdefault(stream, []).append(version)
    assert all(found == list(range(1, len(found) + 1)) for found in versions.values())
    # All or nothing over two streams: an event in the shared one for every two in an own one.
    sizes = Counter(stream == "shared" for stream in (place[1] for place in places))
    assert sizes[False] == 2 * sizes[True]
    assert len(versions) == ROUNDS + 1


def test_a_store_whose_writer_was_killed_is_opened_and_appended_to(store_url: str) -> None:
    with working(append_for_ever, store_url, "killed") as (writer,):
        writer.told()
        writer.kill()
    with closing(open_store(store_url, create=False)) as store:
        version = len(store.read_stream("killed"))
        assert store.append([append("killed", version)])[0].__class__ is Recorded


# SQLite


@pytest.fixture
def file(tmp_path: Path) -> str:
    return f"{tmp_path}/runs.db"


def test_an_append_waits_while_another_process_holds_the_write_lock(file: str) -> None:
    verdicts: list[Verdict] = []
    with closing(open_store(f"sqlite:///{file}")) as store:
        store.append([append("a", 0)])
        with working(hold_the_write_lock, file) as (holder,):
            assert holder.told() == "held"
            waiting = Thread(target=lambda: verdicts.extend(store.append([append("a", 1)])))
            waiting.start()
            waiting.join(0.2)
            assert verdicts == []
            assert store.head() == 1  # readers do not wait
            assert len(store.read_stream("a")) == 1
            holder.pipe.send("let go")
            waiting.join(60)
        assert verdicts == [Recorded(2, 2)]


def test_an_append_that_waits_in_vain_is_told_and_nothing_is_recorded(
    file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "LOCK_SECONDS", 0.05)
    with closing(open_store(f"sqlite:///{file}")) as store:
        with working(hold_the_write_lock, file) as (holder,):
            assert holder.told() == "held"
            with pytest.raises(StoreBusy, match="found it held by another connection"):
                store.append([append("a", 0)])
        assert store.head() == 0
        assert store.append([append("a", 0)]) == [Recorded(1, 1)]


def test_a_killed_holder_of_the_write_lock_blocks_nobody(file: str) -> None:
    with (
        closing(open_store(f"sqlite:///{file}")) as store,
        working(hold_the_write_lock, file) as (holder,),
    ):
        assert holder.told() == "held"
        holder.kill()
        assert store.append([append("a", 0)]) == [Recorded(1, 1)]


def test_a_file_that_may_not_grow_is_told_and_works_again_when_it_may(file: str) -> None:
    url = f"sqlite:///{file}"
    with working(append_until_files_may_not_grow, url, 300_000) as (writer,):
        version, error = writer.told()
        assert version > 0
        assert error == f"StoreUnavailable: store {url!r}: disk I/O error"
        assert writer.told() == version
        assert writer.told() == Recorded(version + 1, version + 10)
    with closing(open_store(url)) as store:
        assert [row.version for row in store.read_stream("a")] == list(range(1, version + 11))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small file system takes root")
    yield disk
    run(["umount", str(disk)], check=True)


def test_a_full_disk_is_told_and_nothing_is_half_written(small_disk: Path) -> None:
    url = f"sqlite:///{small_disk}/runs.db"
    version = 0
    with closing(open_store(url)) as store:

        def fill() -> None:
            nonlocal version
            while True:
                store.append([append("a", version, 10)])
                version += 10

        with pytest.raises(StoreUnavailable, match=r": database or disk is full$"):
            fill()
        with pytest.raises(StoreUnavailable, match=r": database or disk is full$"):
            store.put_blob("ab" * 32, "image/png", bytes(2**20))
        assert [row.version for row in store.read_stream("a")] == list(range(1, version + 1))
        run(["mount", "-o", "remount,size=8m", str(small_disk)], check=True)
        assert store.append([append("a", version, 10)]) == [Recorded(version + 1, version + 10)]
    with closing(open_store(url)) as again:
        assert again.head() == version + 10
