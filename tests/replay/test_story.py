"""The story: a bug in how usage was counted, found by a replay, explained, mended, and undone."""

import asyncio
import json
from pathlib import Path

import duckdb
import pytest
from replaying import cache_reads

from projections.compare.diff import Key
from runledger import RunLedger
from scripts.bench.generate import generate

pytestmark = pytest.mark.slow


@pytest.fixture
def large_log(tmp_path: Path) -> Path:
    """A store file with five thousand runs."""
    generate(f"sqlite:///{tmp_path}/large.db", 50_000)
    return tmp_path / "large.db"


async def _cache_reads(ledger: RunLedger) -> int:
    _, ((total,),) = await ledger.sql("SELECT sum(cache_read_tokens)::BIGINT FROM usage_totals")
    return total


def _total_key(key: Key) -> tuple[str, ...]:
    names = ("organization", "project_id", "agent_id", "model", "day")
    return tuple(str(key[name]) for name in names)


def test_a_bug_is_found_explained_mended_and_undone(url, read_models, tmp_path, fix) -> None:
    asyncio.run(_story(url, read_models, tmp_path, fix))


async def _story(url: str, read_models: Path, tmp_path: Path, fix) -> None:
    by_run, totals = cache_reads(tmp_path / "runs.db")
    right = sum(by_run.values())
    async with RunLedger.open(url, read_models) as ledger:
        assert await _cache_reads(ledger) == 2 * right
    fix()
    async with RunLedger.open(url, read_models) as ledger:
        # Live goes on by the SQL that made its rows, until it is told otherwise.
        assert await _cache_reads(ledger) == 2 * right
        out = tmp_path / "diff.parquet"

        dry = await ledger.operator.replay(limit=10, out=out)

        assert dry.live is None
        assert await _cache_reads(ledger) == 2 * right
        assert dry.comparison is not None
        tables = {table.table: table for table in dry.comparison.tables}
        differing = {name: t.differing for name, t in tables.items() if t.differing}
        assert differing == {"runs": len(by_run), "usage_totals": len(totals)}
        assert tables["runs"].columns == {"cache_read_tokens": len(by_run)}
        assert (tables["runs"].added, tables["runs"].removed) == (0, 0)
        assert tables["runs"].rows_old == tables["runs"].rows_new > 5_000
        assert dry.comparison.models_changed == ["agents", "runs", "usage_totals"]
        _report_names_exactly_the_affected(out, by_run, totals)

        run = next(e for e in dry.comparison.explanations if e.table == "runs")
        await _explained_by_its_first_cached_step(ledger, run)
        total = next(e for e in dry.comparison.explanations if e.table == "usage_totals")
        assert total.topic == "run.step_recorded"
        assert total.stream in by_run
        assert total.event["cache_read_tokens"] > 0

        switched = await ledger.operator.replay(switch=True)
        assert switched.built.number == dry.built.number, "what was built is used again"
        assert await _cache_reads(ledger) == right
        assert (await ledger.operator.verify()).clean
        assert (await ledger.operator.verify(sample=50)).clean

        back = next(g for g in await ledger.operator.generations() if g.state == "kept")
        await ledger.operator.switch_generation(back.number)
        assert await _cache_reads(ledger) == 2 * right
        again = await ledger.operator.compare_generation(dry.built.number)
        assert {t.table for t in again.tables if t.differing} == {"runs", "usage_totals"}
        await ledger.operator.switch_generation(dry.built.number)
        assert await _cache_reads(ledger) == right


def _report_names_exactly_the_affected(out: Path, by_run, totals) -> None:
    db = duckdb.connect()
    found = db.execute(
        "SELECT table_name, change, row_key, column_name, old_value::BIGINT, new_value::BIGINT"
        " FROM read_parquet(?)",
        [str(out)],
    ).fetchall()
    runs = {
        json.loads(key)["run_id"]: (old, new) for t, _, key, _, old, new in found if t == "runs"
    }
    assert runs == {run_id: (2 * count, count) for run_id, count in by_run.items()}
    keys = {_total_key(json.loads(key)) for t, _, key, *_ in found if t == "usage_totals"}
    assert keys == totals
    assert {(change, column) for _, change, _, column, _, _ in found} == {
        ("changed", "cache_read_tokens")
    }


async def _explained_by_its_first_cached_step(ledger: RunLedger, found) -> None:
    events = ledger.store.read_stream(found.stream, contents=False)
    first = next(row for row in events if getattr(row.event, "cache_read_tokens", None))
    assert (found.position, found.version, found.topic) == (
        first.position,
        first.version,
        "run.step_recorded",
    )
    assert found.event["step_id"] == first.event.step_id
    count = first.event.cache_read_tokens
    assert [(cell.column, cell.old, cell.new) for cell in found.cells] == [
        ("cache_read_tokens", str(2 * count), str(count))
    ]
