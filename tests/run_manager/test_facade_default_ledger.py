"""Managers made without a ledger: opened on first use, whatever event loop comes."""

import asyncio

import pytest

from runledger.compat import (
    LettaAgentNotFoundError,
    MessageManager,
    Run,
    RunManager,
    RunStatus,
    RunUpdate,
    StepManager,
    UsageStatistics,
    User,
    close_default_ledgers,
    default_ledger,
)
from runledger.errors import StoreError
from runledger.ids import new_id


@pytest.fixture
def environment(store_url, tmp_path, monkeypatch):
    monkeypatch.setenv("RUNLEDGER_STORE", store_url)
    monkeypatch.setenv("RUNLEDGER_READ_MODELS", str(tmp_path / "runs.duckdb"))
    yield
    asyncio.run(close_default_ledgers())


@pytest.mark.slow
def test_a_manager_serves_one_event_loop_after_the_other(environment, agent):
    manager, steps, user = RunManager(), StepManager(), User()
    created = [asyncio.run(manager.create_run(Run(agent_id=agent), user)) for _ in range(3)]

    async def work(run: Run) -> None:
        await steps.log_step_async(user, agent, "p", "base", "m", None, 1,
                                   UsageStatistics(prompt_tokens=2), run_id=run.id)  # fmt: skip
        await asyncio.gather(
            *(manager.update_run_by_id_async(run.id, RunUpdate(metadata={f"k{n}": n}), user)
              for n in range(5))
        )  # fmt: skip

    for run in created:
        asyncio.run(work(run))
    listed = asyncio.run(manager.list_runs(user))
    assert [run.id for run in listed] == [run.id for run in created[::-1]]
    assert all(len(run.metadata) == 5 for run in listed)


def test_a_loop_that_was_left_in_the_middle_spoils_nothing(environment, agent):
    manager, user = RunManager(), User()
    run = asyncio.run(manager.create_run(Run(agent_id=agent), user))

    async def leave() -> None:
        for number in range(50):
            update = RunUpdate(metadata={str(number): number})
            asyncio.create_task(manager.update_run_by_id_async(run.id, update, user))  # noqa: RUF006
        await asyncio.sleep(0)

    for _ in range(3):
        asyncio.run(leave())
    ended = asyncio.run(
        manager.update_run_by_id_async(run.id, RunUpdate(status=RunStatus.completed), user)
    )
    assert asyncio.run(manager.list_runs(user)) == [ended]


def test_first_uses_at_once_open_one_ledger(environment):
    async def both():
        return await asyncio.gather(*(default_ledger() for _ in range(8)))

    assert len({id(ledger) for ledger in asyncio.run(both())}) == 1


def test_managers_share_the_ledger_and_a_closed_one_is_opened_again(environment, agent):
    user = User()
    run = asyncio.run(RunManager().create_run(Run(agent_id=agent), user))
    assert asyncio.run(RunManager().get_run_by_id(run.id, user)) == run
    asyncio.run(close_default_ledgers())
    assert asyncio.run(RunManager().get_run_by_id(run.id, user)) == run
    assert asyncio.run(MessageManager().create_many_messages_async([], user)) == []


def test_nothing_is_opened_before_the_first_use(tmp_path, monkeypatch):
    monkeypatch.setenv("RUNLEDGER_STORE", f"sqlite:///{tmp_path}/no/such/place/runs.db")
    monkeypatch.setenv("RUNLEDGER_READ_MODELS", str(tmp_path / "runs.duckdb"))
    manager = RunManager()
    with pytest.raises(StoreError):
        asyncio.run(manager.get_run_by_id(new_id("run"), User()))


def test_unknown_agents_are_rejected_where_the_environment_says_so(environment, monkeypatch, agent):
    monkeypatch.setenv("RUNLEDGER_UNKNOWN_AGENTS", "reject")
    with pytest.raises(LettaAgentNotFoundError):
        asyncio.run(RunManager().create_run(Run(agent_id=agent), User()))
