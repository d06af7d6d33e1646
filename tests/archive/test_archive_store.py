"""An archive answers like the store whose log it holds, and takes nothing."""

import asyncio
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest

from projections.archive.store import ArchiveStore, open_log
from projections.archive.writer import archive
from projections.replay.selection import selection
from runledger import Actor, RunLedger
from runledger.durable_file import only_writer
from runledger.errors import (
    ArchiveDamaged,
    ArchiveError,
    OnlyRead,
    ReadModelsLocked,
    StoreRefused,
)
from runledger.health import examine
from runledger.importers.event_lines.importer import EventImport
from runledger.importers.tau2.importer import Tau2Import
from runledger.store import Store
from runledger.store.protocol import EncodedEvent, StreamWrite
from tests.archive.test_archive import damage, files


@pytest.mark.parametrize("contents", [True, False])
def test_it_holds_every_event_of_the_log(log: Store, folder: Path, contents: bool) -> None:
    rows = log.read_log(0, log.head(), contents=True)
    with closing(open_log(f"archive:{folder}")) as store:
        assert store.head() == log.head()
        for stream in sorted({row.stream for row in rows})[::7]:
            for bounds in ((0, None), (1, None), (0, 2), (3, 4)):
                read = [s.read_stream(stream, *bounds, contents) for s in (store, log)]
                assert read[0] == read[1]
        assert store.read_stream("run-of-nobody") == []


@pytest.mark.parametrize("limit", [1, 700, 5_000])
@pytest.mark.parametrize("after", [0, 999, 1_000, 2_400])
@pytest.mark.parametrize("topics", [(), ("run.failed", "agent.registered")])
def test_it_is_read_by_position_as_the_log_is(
    log: Store, folder: Path, after: int, limit: int, topics: tuple[str, ...]
) -> None:
    with closing(open_log(f"archive:{folder}")) as store:
        for upto in (None, after + 40):
            for contents in (True, False):
                asked = (after, limit, topics, contents, upto)
                assert store.read_log(*asked) == log.read_log(*asked)


def test_questions_replay_and_verify_need_no_store(url: str, folder: Path, tmp_path: Path) -> None:
    async def answers(at: str) -> list[object]:
        path, actor = tmp_path / f"{at[:3]}.duckdb", Actor(organization="org-0")
        async with RunLedger.open(at, path, actor=actor) as ledger:
            runs = await ledger.list_runs(limit=50)
            first = runs[0].run_id
            replayed = await ledger.operator.replay(switch=True)
            assert replayed.comparison is not None
            assert not any(table.differing for table in replayed.comparison.tables)
            assert (await ledger.operator.verify()).clean
            return [
                runs,
                await ledger.get_run_by_id(first),
                await ledger.get_run_messages(first),
                await ledger.get_run_steps(first),
                await ledger.usage_totals(by=("model", "day")),
                await ledger.list_runs(limit=50, as_of=1_300),
            ]

    found = asyncio.run(answers(f"archive:{folder}"))
    shutil.move(folder, tmp_path / "elsewhere")
    assert found == asyncio.run(answers(url))


def test_what_would_write_is_refused(folder: Path, tmp_path: Path) -> None:
    async def write() -> None:
        async with RunLedger.open(f"archive:{folder}") as ledger:
            await ledger.create_run(agent_id="agent-a")

    before = files(folder)
    with pytest.raises(StoreRefused, match="found an archive, which can only be read"):
        asyncio.run(write())
    with closing(ArchiveStore(f"archive:{folder}")) as store:
        event = EncodedEvent("not.a.topic", b"{}", None)
        for refused in (
            store.expect_writable,
            lambda: store.append([(StreamWrite("odd", 0, (event,)),)]),
            lambda: store.put_blob("0", "image/png", b""),
            lambda: store.save_checkpoint("callbacks", 3),
        ):
            with pytest.raises(StoreRefused):
                refused()
    assert files(folder) == before


def test_an_import_into_an_archive_is_refused_once_before_it_reads(folder: Path) -> None:
    async def bring(kind: str) -> None:
        async with RunLedger.open(f"archive:{folder}") as ledger:
            importing = {
                "events": EventImport(ledger.store, ledger.handler),
                "tau2": Tau2Import(ledger.store, ledger.handler, Actor()),
            }[kind]
            await importing.run([folder / "nowhere.jsonl"])

    for kind in ("events", "tau2"):
        with pytest.raises(OnlyRead, match="found an archive"):
            asyncio.run(bring(kind))


def test_an_archive_can_be_archived_again(folder: Path, tmp_path: Path) -> None:
    with closing(open_log(f"archive:{folder}")) as store:
        archive(store, tmp_path / "b", segment_events=1_000)
    assert files(tmp_path / "b").keys() == files(folder).keys()
    with (
        closing(open_log(f"archive:{folder}")) as one,
        closing(open_log(f"archive:{tmp_path}/b")) as other,
    ):
        everything = (0, 9_999, (), True)
        assert one.read_log(*everything) == other.read_log(*everything)


def test_nothing_is_written_where_another_process_writes(folder: Path) -> None:
    before = files(folder)
    with closing(open_log(f"archive:{folder}")) as store, only_writer(folder):
        with pytest.raises(ReadModelsLocked, match="another process is writing there"):
            archive(store, folder)
    assert files(folder) == before


def test_the_doctor_knows_it(folder: Path, tmp_path: Path) -> None:
    found = {check.name: check for check in examine(f"archive:{folder}", tmp_path / "r.duckdb")}
    assert found["segments"].found == "3"
    assert found["position"].found == "2,500"
    assert {check.state for check in found.values()} == {"ok", "note"}


@pytest.mark.parametrize("kind", ["columns", "raw"])
def test_a_damaged_file_answers_nothing(folder: Path, kind: str) -> None:
    damage(folder, kind, "altered")
    with closing(open_log(f"archive:{folder}")) as store:
        assert len(store.read_log(0, 1_000, contents=True)) == 1_000
        with pytest.raises(ArchiveDamaged, match="expected SHA-256"):
            store.read_log(1_000, 1, contents=True)


def test_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match=r"no manifest\.json there"):
        open_log(f"archive:{tmp_path}/nothing")


def test_a_file_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"no folder")
    with pytest.raises(ArchiveError, match="expected a folder"):
        open_log(f"archive:{tmp_path}/x.db")


def test_a_partial_replay_is_the_same_as_from_the_store(
    url: str, folder: Path, tmp_path: Path
) -> None:
    actor = Actor(organization="org-0")

    async def spoiled_and_mended(log: str, file: Path) -> tuple[Any, ...]:
        async with RunLedger.open(log, file, actor=actor) as ledger:
            runs = await ledger.list_runs(agent_id="agent-1", limit=3)
        with closing(duckdb.connect(str(file))) as db:
            db.execute("UPDATE runs SET num_steps = 99 WHERE run_id = ?", [runs[0].run_id])
        async with RunLedger.open(log, file, actor=actor) as ledger:
            done = await ledger.operator.replay(
                selection=selection(runs=[run.run_id for run in runs]), switch=True
            )
            assert done.comparison is not None
            again = await ledger.list_runs(agent_id="agent-1", limit=3)
        changed = [table.changed for table in done.comparison.tables if table.table == "runs"]
        return done.radius, done.untouched_buckets, changed, runs == again

    found = asyncio.run(spoiled_and_mended(f"archive:{folder}", tmp_path / "a.duckdb"))
    assert found == asyncio.run(spoiled_and_mended(url, tmp_path / "b.duckdb"))
    assert found[0].runs == 3
    assert found[2:] == ([1], True)
