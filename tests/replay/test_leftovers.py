"""Files that a killed process left beside the store and the read models are removed by the next
process that does the same, and no others are."""

import asyncio
from pathlib import Path

import pytest

from projections.replay.selection import selection
from runledger import RunLedger

pytestmark = pytest.mark.slow

DEAD = 2**22 + 1
"""A process id that no process has."""


def leave(folder: Path) -> None:
    """Make every file and folder that work which is killed can leave, each by its name."""
    generations, archive = folder / "r.duckdb.generations", folder / "archive"
    for made in (
        generations / f"000007.{DEAD}.parts" / "old.duckdb",
        generations / "000007.parts" / "again.duckdb",
        generations / f".000007.json.{DEAD}.part",
        generations / "verify.duckdb",
        generations / "verify.duckdb.wal",
        generations / "as_of" / f".000000000005-abc.duckdb.{DEAD}.part",
        generations / "as_of" / f".000000000005-abc.duckdb.{DEAD}.part.wal",
        folder / ".r.duckdb.socket-killed" / "s",
        folder / "r.duckdb.socket",
        archive / f".manifest.json.{DEAD}.part",
        archive / ".unfinished" / "part-1.parquet",
        archive / "events-000000000900-000000000901.parquet",
        folder / "published" / ".read_models.duckdb.part",
        folder / f".changes.parquet.{DEAD}.part",
        folder / "r.duckdb.tmp" / "duckdb_temp_storage_DEFAULT-0.tmp",
    ):
        made.parent.mkdir(parents=True, exist_ok=True)
        made.write_text("{}")


def there(folder: Path) -> set[str]:
    """Return the files below a folder, and folders that are there for the time of some work."""
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() or path.suffix in (".parts", ".tmp", ".unfinished", ".socket-killed")
    }


async def work(folder: Path) -> None:
    """Do everything that makes files."""
    url, file = f"sqlite:///{folder}/s.db", folder / "r.duckdb"
    async with RunLedger.open(url, file) as ledger:
        run = await ledger.create_run("agent-1")
        await ledger.list_runs()
        await ledger.list_runs(as_of=1)
        await ledger.operator.archive(folder / "archive")
        await ledger.operator.publish(folder / "published")
        await ledger.operator.verify()
        await ledger.operator.replay(switch=True, out=folder / "changes.parquet", overwrite=True)
        await ledger.operator.replay(selection=selection(runs=[run.run_id]), switch=True)
        await ledger.operator.replay(only_changed=True)
        async with RunLedger.open(url, file, live=False) as other:
            await other.operator.verify()


def test_what_kills_leave_is_taken_away_by_the_next_operation(tmp_path: Path) -> None:
    for name in ("clean", "killed"):
        (tmp_path / name).mkdir()
        asyncio.run(work(tmp_path / name))
    leave(tmp_path / "killed")
    before = {"clean": there(tmp_path / "clean"), "killed": there(tmp_path / "killed")}
    assert before["clean"] < before["killed"]
    for name in before:
        asyncio.run(work(tmp_path / name))
    clean, killed = there(tmp_path / "clean"), there(tmp_path / "killed")
    # Ids and numbers differ, what was left does not stay.
    assert {name for name in killed if str(DEAD) in name} == set()
    assert killed == clean
