"""A program that changes its folder asks the same ledger as before."""

from pathlib import Path

import pytest

from runledger import RunLedger

pytestmark = pytest.mark.slow


async def test_a_relative_path_means_what_it_meant_at_opening(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    ledger = RunLedger.open("sqlite:///runs.db", "runs.duckdb")
    monkeypatch.chdir(tmp_path / "there")
    async with ledger:
        run = await ledger.create_run("agent-a")
        monkeypatch.chdir(tmp_path)
        done = await ledger.operator.replay(switch=True)
        assert done.live.number == done.built.number
        assert [row.run_id for row in await ledger.list_runs(as_of=0)] == []
        (row,) = await ledger.list_runs(as_of=2)
        assert row.run_id == run.run_id
    assert list((tmp_path / "there").iterdir()) == []
    found = {path.name for path in tmp_path.iterdir() if path.is_file()}
    assert found == set()
    assert (tmp_path / "here" / "runs.duckdb").exists()
