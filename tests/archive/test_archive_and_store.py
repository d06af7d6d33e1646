"""The end of an archive, and the events of the store beyond it."""

import asyncio
import shutil
from contextlib import closing
from pathlib import Path

import pytest

from projections.archive.log_source import archived_log
from projections.archive.store import open_log
from projections.archive.writer import archive
from projections.replay.replay import build
from runledger import Actor, RunLedger
from runledger.store import Store, open_store

pytestmark = pytest.mark.slow


async def _run(url: str, delete: str | None = None) -> str:
    async with RunLedger.open(url, actor=Actor()) as ledger:
        async with ledger.run(agent_id="agent-a") as run:
            await run.record_step(model="m", prompt_tokens=10, completion_tokens=1)
        if delete is not None:
            await ledger.delete_run(delete)
        return run.run_id


def test_a_deletion_at_the_end_of_an_archive_hides_nothing_of_the_store(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/runs.db"
    first = asyncio.run(_run(url))
    asyncio.run(_run(url, delete=first))
    with closing(open_store(url)) as store:
        archive(store, tmp_path / "a")
        asyncio.run(_run(url))
        built = build(store, tmp_path / "r.duckdb", source=archived_log(tmp_path / "a"))
    assert (built.rows["runs"], built.rows["steps"]) == (2, 2)


@pytest.mark.parametrize("name", ["organization=acme", "log[1]", "a*", "a?b", "it's"])
def test_the_name_of_a_folder_is_no_pattern(
    log: Store, archived: Path, tmp_path: Path, name: str
) -> None:
    for copy in ("log1", "a b", name):
        shutil.copytree(archived, tmp_path / copy)
    with closing(open_log(f"archive:{tmp_path}/{name}")) as store:
        everything = (0, 9_999, (), True)
        assert store.read_log(*everything) == log.read_log(*everything)
        with closing(open_log(f"archive:{tmp_path}/log1")) as plain:
            built = [
                build(at, tmp_path / f"{number}.duckdb") for number, at in enumerate((store, plain))
            ]
    assert built[0].rows == built[1].rows
    assert built[0].position == log.head()
