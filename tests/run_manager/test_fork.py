"""A process that was forked from one with an open ledger is told so, and does not wait for ever."""

import asyncio
import multiprocessing
from pathlib import Path

import pytest

from runledger import RunLedger
from runledger.errors import LedgerError


def use(ledger: RunLedger, said: "multiprocessing.SimpleQueue[str]") -> None:
    try:
        asyncio.run(ledger.create_run("agent-a"))
    except LedgerError as e:
        said.put(str(e))


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
async def test_a_ledger_is_not_used_in_a_forked_process(tmp_path: Path) -> None:
    forks = multiprocessing.get_context("fork")
    said = forks.SimpleQueue()
    async with RunLedger.open(f"sqlite:///{tmp_path}/runs.db") as ledger:
        await ledger.create_run("agent-a")
        child = forks.Process(target=use, args=(ledger, said))
        child.start()
        child.join(120)
        assert child.exitcode == 0
        await ledger.create_run("agent-a")
    assert "forked from it" in said.get()
