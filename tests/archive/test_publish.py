"""Published copies: whole, as of one position, for any number of readers, while the ledger writes."""

import asyncio
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from projections.fold.generation import Generation
from projections.publishing.publish import FILE, PublishedReadModels
from runledger import Operator, RunLedger
from runledger.durable_file import only_writer
from runledger.errors import InvalidArgument, ReadModelsError, ReadModelsLocked, ReadModelsMissing
from runledger.store.protocol import EncodedEvent, StreamWrite

READER = """
import sys, duckdb
db = duckdb.connect(sys.argv[1], read_only=True)
print(*db.execute("SELECT (SELECT position FROM generation), count(*) FROM runs").fetchone(), flush=True)
sys.stdin.readline()
print(*db.execute("SELECT (SELECT position FROM generation), count(*) FROM runs").fetchone())
"""


def reader(file: Path) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", READER, str(file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def asked(url: str, read_models: Path, *steps) -> None:
    async def run() -> None:
        async with RunLedger.open(url, read_models) as ledger:
            for step in steps:
                await step(ledger)

    asyncio.run(run())


def test_other_processes_read_a_copy_and_keep_it_when_the_next_one_comes(
    url: str, tmp_path: Path
) -> None:
    async def story(ledger: RunLedger) -> None:
        first = await ledger.operator.publish(tmp_path / "p")
        runs = len((await ledger.sql("FROM runs"))[1])
        early = [reader(first.path) for _ in range(2)]
        seen = [process.stdout.readline() for process in early]
        assert seen == [f"{first.position} {runs}\n"] * 2

        await ledger.create_run(agent_id="agent-new")
        second = await ledger.operator.publish(tmp_path / "p")
        assert second.path == first.path
        assert second.position > first.position
        late = reader(second.path)
        assert late.stdout.readline() == f"{second.position} {runs + 1}\n"
        assert [process.communicate("\n")[0] for process in early] == seen
        late.communicate("\n")

    asked(url, tmp_path / "runs.duckdb", story)


def test_a_copy_holds_every_row_and_is_of_one_position(url: str, tmp_path: Path) -> None:
    async def story(ledger: RunLedger) -> None:
        published = await ledger.operator.publish(tmp_path / "p")
        assert published.position == ledger.store.head()
        assert published.size == published.path.stat().st_size
        _, tables = await ledger.sql(
            "SELECT table_name FROM duckdb_tables() WHERE database_name = current_database()"
            " AND NOT temporary"
        )
        with closing(duckdb.connect(str(published.path), read_only=True)) as db:
            for (table,) in tables:
                live = (await ledger.sql(f"FROM {table} ORDER BY ALL"))[1]
                assert db.execute(f"FROM {table} ORDER BY ALL").fetchall() == live, table
        assert sorted(file.name for file in (tmp_path / "p").iterdir()) == [FILE]

    asked(url, tmp_path / "runs.duckdb", story)


def test_a_ledger_answers_from_the_newest_copy(url: str, tmp_path: Path) -> None:
    async def story(ledger: RunLedger) -> None:
        await ledger.operator.publish(tmp_path / "p")
        async with RunLedger.open(url, tmp_path / "p") as other:
            assert await other.list_runs(limit=1) == []
            made = await ledger.create_run(agent_id="agent-new")
            assert await other.list_runs(limit=1) == []
            assert (await other.get_run_by_id(made.run_id)).agent_id == "agent-new"
            await ledger.operator.publish(tmp_path / "p")
            assert [run.run_id for run in await other.list_runs(limit=1)] == [made.run_id]
            with pytest.raises(
                ReadModelsError, match="expected those that follow the log, found a"
            ):
                await other.project()
            with pytest.raises(ReadModelsError, match="found a copy as of position"):
                await other.list_runs(as_of=1)
            with pytest.raises(ReadModelsError, match="generations are of the live one"):
                await other.operator.replay()

    asked(url, tmp_path / "runs.duckdb", story)


def test_what_is_parked_and_parquet_come_from_the_newest_copy(url: str, tmp_path: Path) -> None:
    async def story(ledger: RunLedger) -> None:
        await ledger.operator.publish(tmp_path / "p")
        async with Operator.open(url, tmp_path / "p") as other:
            assert await other.parked() == []
            event = EncodedEvent("run.teleported", b'{"revision":1}', None)
            ledger.store.append([(StreamWrite("run-strange", 0, (event,)),)])
            await ledger.create_run(agent_id="agent-new")
            assert await other.parked() == []
            published = await ledger.operator.publish(tmp_path / "p")
            (parked,) = await other.parked()
            assert parked == (await ledger.operator.parked())[0]
            await ledger.create_run(agent_id="agent-new")
            exported = await other.export_parquet(tmp_path / "e")
        assert exported.position == published.position
        assert (
            exported.rows.keys()
            == (await ledger.operator.export_parquet(tmp_path / "f")).rows.keys()
        )
        with closing(duckdb.connect()) as db:
            files = str(tmp_path / "e" / "runs" / "**" / "*.parquet")
            ((runs,),) = db.execute("SELECT count(*) FROM read_parquet($1)", [files]).fetchall()
        assert runs == exported.rows["runs"]
        assert sorted(file.name for file in (tmp_path / "p").iterdir()) == [FILE]

    asked(url, tmp_path / "runs.duckdb", story)


def test_threads_that_ask_while_copies_come_and_go_see_whole_ones(url: str, tmp_path: Path) -> None:
    async def story(ledger: RunLedger) -> None:
        folder = tmp_path / "p"
        await ledger.operator.publish(folder)
        copies = PublishedReadModels(folder)
        done = threading.Event()
        wrong: list[object] = []

        def ask() -> None:
            while not done.is_set():
                found = copies.ask(
                    lambda q: q.rows(
                        "SELECT count(*) AS runs, (SELECT position FROM generation) AS position,"
                        " max(last_position) AS last FROM runs"
                    )
                )[0]
                if found["last"] > found["position"]:
                    wrong.append(found)

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        for _ in range(5):
            await ledger.create_run(agent_id="agent-new")
            await ledger.operator.publish(folder)
        done.set()
        for thread in threads:
            thread.join()
        copies.close()
        assert not wrong

    asked(url, tmp_path / "runs.duckdb", story)


def test_nobody_projects_into_a_copy(url: str, tmp_path: Path) -> None:
    asked(url, tmp_path / "runs.duckdb", lambda ledger: ledger.operator.publish(tmp_path / "p"))
    file = tmp_path / "p" / FILE
    assert file.stat().st_mode & 0o222 == 0
    file.chmod(0o644)
    with pytest.raises(ReadModelsError, match="found a published copy; name its folder"):
        Generation(file)
    Generation(file, read_only=True).close()


def test_one_process_publishes_into_a_folder_at_a_time(url: str, tmp_path: Path) -> None:
    async def story(ledger: RunLedger) -> None:
        with only_writer(tmp_path / "p"), pytest.raises(ReadModelsLocked, match="is writing there"):
            await ledger.operator.publish(tmp_path / "p")
        await ledger.operator.publish(tmp_path / "p")

    asked(url, tmp_path / "runs.duckdb", story)


def test_a_folder_that_cannot_be_made_is_refused(url: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    async def story(ledger: RunLedger) -> None:
        with pytest.raises(InvalidArgument, match="expected a folder to write to"):
            await ledger.operator.publish(tmp_path / "file")

    asked(url, tmp_path / "runs.duckdb", story)


def test_a_folder_without_a_copy_is_named(url: str, tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()

    async def nothing(_: RunLedger) -> None:
        raise AssertionError("opened")

    with pytest.raises(ReadModelsMissing, match="run `runledger publish`"):
        asked(url, tmp_path / "p", nothing)


@pytest.mark.parametrize("foreign", ["database", "text", "folder"])
def test_a_file_that_is_no_copy_is_not_replaced(url: str, tmp_path: Path, foreign: str) -> None:
    file = tmp_path / "p" / FILE
    file.parent.mkdir()
    if foreign == "database":
        with closing(duckdb.connect(str(file))) as db:
            db.execute("CREATE TABLE mine AS SELECT 1")
    elif foreign == "text":
        file.write_text("mine")
    else:
        file.mkdir()
    before = file.stat()

    async def story(ledger: RunLedger) -> None:
        with pytest.raises(InvalidArgument, match="expected no file or an earlier published copy"):
            await ledger.operator.publish(tmp_path / "p")

    asked(url, tmp_path / "runs.duckdb", story)
    assert (file.stat().st_ino, file.stat().st_size) == (before.st_ino, before.st_size)


def test_live_read_models_are_not_replaced_by_their_copy(url: str, tmp_path: Path) -> None:
    async def story(ledger: RunLedger) -> None:
        with pytest.raises(ReadModelsLocked, match="expected nothing else in this process"):
            await ledger.operator.publish(tmp_path)

    asked(url, tmp_path / FILE, story)
    Generation(tmp_path / FILE).close()


def test_live_read_models_of_another_process_are_not_replaced(url: str, tmp_path: Path) -> None:
    other = tmp_path / "p" / FILE
    other.parent.mkdir()
    Generation(other).close()
    held = f"import duckdb; db = duckdb.connect({str(other)!r}); print(flush=True); input()"
    process = subprocess.Popen(
        [sys.executable, "-c", held], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    process.stdout.readline()

    async def story(ledger: RunLedger) -> None:
        with pytest.raises(InvalidArgument, match="an earlier published copy, found"):
            await ledger.operator.publish(other.parent)

    asked(url, tmp_path / "runs.duckdb", story)
    process.communicate("\n")
    Generation(other).close()
