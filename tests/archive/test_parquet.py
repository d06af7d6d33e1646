"""Read models as Parquet: every row, by day, of one position, in place of the last export."""

import asyncio
import json
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from runledger import RunLedger
from runledger.errors import InvalidArgument


def asked(url: str, read_models: Path, step) -> None:
    async def run() -> None:
        async with RunLedger.open(url, read_models) as ledger:
            await step(ledger)

    asyncio.run(run())


def parquet(statement: str) -> list[tuple]:
    with closing(duckdb.connect()) as db:
        db.execute("SET TimeZone = 'UTC'")
        return db.execute(statement).fetchall()


def test_every_row_is_exported_to_its_day(url: str, tmp_path: Path) -> None:
    async def story(ledger: RunLedger) -> None:
        done = await ledger.operator.export_parquet(tmp_path / "e")
        assert done.position == ledger.store.head()
        for table, clock in (
            ("runs", "created_at"),
            ("steps", "created_at"),
            ("tool_calls", "called_at"),
        ):
            _, live = await ledger.sql(f"SELECT * FROM {table} ORDER BY ALL")
            assert done.rows[table] == len(live) > 0
            files = f"'{done.path}/{table}/*/*.parquet'"
            assert parquet(f"SELECT * EXCLUDE (day) FROM {files} ORDER BY ALL") == live
            wrong = f"day <> {clock}::DATE OR NOT contains(filename, 'day=' || day)"
            files = f"read_parquet({files}, filename = TRUE)"
            assert parquet(f"SELECT count(*) FROM {files} WHERE {wrong}") == [(0,)]
        for table in ("usage_totals", "duration_percentiles"):
            _, live = await ledger.sql(f"FROM {table} ORDER BY ALL")
            assert parquet(f"FROM '{done.path}/{table}/*/*.parquet' ORDER BY ALL") == live
        _, agents = await ledger.sql("FROM agents ORDER BY ALL")
        assert parquet(f"FROM '{done.path}/agents.parquet' ORDER BY ALL") == agents
        told = json.loads((done.path / "export.json").read_text())
        assert told == {"position": done.position, "rows": done.rows}

    asked(url, tmp_path / "runs.duckdb", story)


def test_an_export_takes_the_place_of_the_last_one_if_it_is_told_to(
    url: str, tmp_path: Path
) -> None:
    async def story(ledger: RunLedger) -> None:
        first = await ledger.operator.export_parquet(tmp_path / "e")
        left = tmp_path / "e" / "runs" / "day=1999-12-31" / "data_0.parquet"
        left.parent.mkdir()
        left.write_text("of the last export")
        await ledger.create_run(agent_id="agent-new")
        with pytest.raises(InvalidArgument, match="add `--overwrite` to replace it"):
            await ledger.operator.export_parquet(tmp_path / "e")
        assert left.exists()
        second = await ledger.operator.export_parquet(tmp_path / "e", overwrite=True)
        assert second.rows["runs"] == first.rows["runs"] + 1
        assert not left.exists()
        assert not list(tmp_path.glob(".e*"))

    asked(url, tmp_path / "runs.duckdb", story)


def test_other_peoples_files_are_not_replaced(url: str, tmp_path: Path) -> None:
    async def story(ledger: RunLedger) -> None:
        await ledger.operator.export_parquet(tmp_path / "beside")
        for name in ("e/thesis.txt", "e/export.json", "beside/thesis.txt", "beside/runs/day=1/x"):
            thesis = tmp_path / name
            thesis.parent.mkdir(exist_ok=True, parents=True)
            thesis.write_text("[]")
            with pytest.raises(InvalidArgument, match="expected a new or empty folder or an earl"):
                await ledger.operator.export_parquet(
                    thesis.parents[name.count("/") - 1], overwrite=True
                )
            assert thesis.read_text() == "[]"
            thesis.unlink()
        (tmp_path / ".e.export").mkdir()
        (tmp_path / ".e.export" / "thesis.txt").write_text("two years of work")
        with pytest.raises(InvalidArgument, match="expected no such file or folder"):
            await ledger.operator.export_parquet(tmp_path / "e")
        assert (tmp_path / ".e.export" / "thesis.txt").exists()

    asked(url, tmp_path / "runs.duckdb", story)


def test_an_export_that_was_killed_between_two_names_is_found_again(
    url: str, tmp_path: Path
) -> None:
    async def story(ledger: RunLedger) -> None:
        await ledger.operator.export_parquet(tmp_path / "e")
        work = tmp_path / ".e.export"
        work.mkdir()
        (tmp_path / "e").rename(work / "before")
        done = await ledger.operator.export_parquet(tmp_path / "e")
        assert (done.path / "export.json").exists()
        assert not work.exists()

    asked(url, tmp_path / "runs.duckdb", story)
