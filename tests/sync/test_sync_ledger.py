"""SyncLedger: the ledger without an event loop, and beside one."""

import asyncio
import inspect
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from runledger import RunLedger
from runledger.errors import LedgerError, NotFound
from runledger.ids import new_id
from runledger.ledger.delegation import Delegated, MovedToOperator
from runledger.sync import SyncLedger

ELSEWHERE = {"run", "sql_rows", "as_actor", "part", "operator", "store", "handler", "read_models"}
"""What `ask` is for: handles of agent loops, callbacks in threads, and parts of the ledger."""

WRITTEN = {"runs", "image_bytes"}
"""Methods that return no awaitable."""


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SyncLedger]:
    folder = tmp_path_factory.mktemp("sync")
    with SyncLedger.open(f"sqlite:///{folder}/runs.db", folder / "runs.duckdb") as ledger:
        yield ledger


def test_it_has_every_method_of_the_ledger() -> None:
    moved = {name for name, one in vars(RunLedger).items() if isinstance(one, MovedToOperator)}
    public = {name for name in dir(RunLedger) if not name.startswith("_")}
    assert public - moved - ELSEWHERE <= set(dir(SyncLedger))
    for name, one in vars(RunLedger).items():
        if isinstance(one, Delegated) and name in vars(SyncLedger) and name not in WRITTEN:
            theirs = inspect.signature(getattr(RunLedger, name))
            assert inspect.signature(getattr(SyncLedger, name)) == theirs
            assert getattr(SyncLedger, name).__doc__ == getattr(RunLedger, name).__doc__


def test_a_run_is_recorded_and_asked_about(ledger: SyncLedger) -> None:
    run = ledger.create_run("agent-sync")
    ledger.record_step(run.run_id, total_tokens=3)
    ledger.complete_run(run.run_id)
    asked = ledger.runs(where="agent_id = 'agent-sync'")
    (found,) = ledger.list_runs(where="agent_id = 'agent-sync'")
    assert (found.status, found.total_tokens) == ("completed", 3)
    assert list(asked) == asked.page() == [found] == next(asked.pages())
    with closing(asked.arrow()) as table:
        assert hasattr(table, "__arrow_c_stream__")
    versions = [stored.version for stored in ledger.follow_run(run.run_id) if stored is not None]
    assert versions == list(range(1, found.version + 1))
    following = ledger.follow_log(after=0)
    assert next(following) is not None
    following.close()
    assert ledger.ask(lambda whole: whole.operator.generations())[0].state == "live"
    with pytest.raises(NotFound):
        ledger.get_run_by_id(new_id("run"))


def test_it_waits_where_an_event_loop_runs(ledger: SyncLedger) -> None:
    async def cell() -> str:
        return ledger.create_run("agent-cell").status

    assert asyncio.run(cell()) == "created"


def test_several_threads_use_one(ledger: SyncLedger) -> None:
    made: list[str] = []
    threads = [
        threading.Thread(target=lambda: made.append(ledger.create_run("agent-threads").run_id))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = ledger.list_runs(where="agent_id = 'agent-threads'")
    assert sorted(run.run_id for run in found) == sorted(made)
    assert len(made) == 8


def test_its_own_thread_is_refused_rather_than_left_to_wait(ledger: SyncLedger) -> None:
    async def from_inside(_: RunLedger) -> object:
        return ledger.list_runs()

    with pytest.raises(LedgerError, match="would wait for itself"):
        ledger.ask(from_inside)


def test_a_forked_child_is_refused(ledger: SyncLedger) -> None:
    child = os.fork()
    if child == 0:
        try:
            ledger.create_run("agent-child")
        except LedgerError:
            os._exit(7)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_a_closed_one_is_refused_and_may_be_closed_again(tmp_path: Path) -> None:
    ledger = SyncLedger.open(f"sqlite:///{tmp_path}/runs.db")
    ledger.close()
    ledger.close()
    with pytest.raises(LedgerError, match="not open"):
        ledger.create_run("agent-a")
    with pytest.raises(LedgerError):
        SyncLedger.open(f"sqlite:///{tmp_path}/none.db", create=False)


def test_a_program_that_does_not_close_it_ends(tmp_path: Path) -> None:
    program = (
        "from runledger.sync import SyncLedger\n"
        f"ledger = SyncLedger.open('sqlite:///{tmp_path}/runs.db', '{tmp_path}/runs.duckdb')\n"
        "print(ledger.create_run('agent-a').status, len(ledger.list_runs()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False
    )
    assert (done.returncode, done.stdout) == (0, "created 1\n"), done.stderr
