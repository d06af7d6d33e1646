"""A disk that is full while a copy, an export or an archive is written: said, and nothing is left."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing
from pathlib import Path
from subprocess import run
from typing import Any

import pytest

from projections.generations.as_of import AsOf
from projections.generations.live import LiveReadModels
from projections.queries.queries import Queries
from runledger import Operator, RunLedger
from runledger.errors import ArchiveError, ReadModelsError
from runledger.store import open_store

Write = Callable[[Operator, Path], Coroutine[Any, Any, object]]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk that holds little."""
    folder = tmp_path / "small"
    folder.mkdir()
    options = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(folder)]
    if run(options, check=False, capture_output=True).returncode:
        pytest.skip("mounting a small disk needs more rights")
    yield folder
    run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize(
    ("write", "error"),
    [
        (Operator.publish, ReadModelsError),
        (Operator.export_parquet, ReadModelsError),
        (Operator.archive, ArchiveError),
    ],
)
def test_a_full_disk_is_said_and_live_goes_on(
    url: str, tmp_path: Path, small_disk: Path, write: Write, error: type[Exception]
) -> None:
    async def story() -> None:
        async with RunLedger.open(url, tmp_path / "runs.duckdb") as ledger:
            with pytest.raises(error, match=r"No space left on device|Out of disk"):
                await write(ledger.operator, small_disk / "out")
            left = [path.name for path in small_disk.rglob("*") if path.is_file()]
            assert left in ([], ["manifest.json"])
            made = await ledger.create_run(agent_id="agent-new")
            assert [run.run_id for run in await ledger.list_runs()] == [made.run_id]
            await write(ledger.operator, tmp_path / "out")

    asyncio.run(story())


def test_a_disk_that_is_full_while_projecting_is_said_and_no_sql_is_blamed(
    url: str, small_disk: Path
) -> None:
    path = small_disk / "runs.duckdb"
    with closing(open_store(url)) as store:
        with (
            pytest.raises(ReadModelsError, match="No space left on device") as refused,
            closing(LiveReadModels(store, path)) as live,
        ):
            live.catch_up()
        said = str(refused.value)
        assert said.startswith(f"read models {str(path)!r}: expected room on the disk")
        assert "apply.sql" not in said
        run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
        with closing(LiveReadModels(store, path)) as live:
            assert live.catch_up() == store.head()


def test_read_models_on_a_disk_that_is_only_read_are_said(url: str, small_disk: Path) -> None:
    run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with (
        closing(open_store(url)) as store,
        pytest.raises(ReadModelsError, match="expected a file that can be written to"),
    ):
        LiveReadModels(store, small_disk / "runs.duckdb")


def test_answers_as_of_on_a_disk_that_is_only_read_come_from_what_is_there(
    url: str, small_disk: Path
) -> None:
    def count(queries: Queries) -> int:
        return len(queries.sql("SELECT run_id FROM runs")[1])

    run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    with closing(open_store(url)) as store:
        past = AsOf(store, small_disk / "runs.duckdb")
        found = past.ask(count, 100)
        run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
        assert past.ask(count, 100) == found
        with pytest.raises(ReadModelsError, match="Read-only file system") as refused:
            past.ask(count, 101)
        assert str(small_disk / "runs.duckdb") in str(refused.value)
