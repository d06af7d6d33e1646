"""One active run per conversation: claimed and freed in the same append as the run's own events."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from runledger.errors import ConversationBusy, InvalidArgument, InvalidId
from runledger.ids import new_id
from runledger.store import open_store

WORKER = Path(__file__).with_name("claim_worker.py")


@pytest.fixture
def held() -> dict:
    return {"conversation_id": new_id("conv"), "hold_conversation": True}


async def test_a_second_claim_names_the_holder(ledger, agent, held):
    holder = await ledger.create_run(agent, **held)
    with pytest.raises(ConversationBusy) as caught:
        await ledger.create_run(agent, **held)
    assert caught.value.holder == holder.run_id
    assert caught.value.conversation_id == held["conversation_id"]
    assert holder.run_id in str(caught.value)
    assert len(await ledger.list_runs()) == 1


@pytest.mark.parametrize(
    "end",
    [
        lambda ledger, run_id: ledger.complete_run(run_id),
        lambda ledger, run_id: ledger.fail_run(run_id),
        lambda ledger, run_id: ledger.cancel_run(run_id),
        lambda ledger, run_id: ledger.update_run(run_id, stop_reason="max_steps"),
        lambda ledger, run_id: ledger.delete_run(run_id),
    ],
    ids=["complete", "fail", "cancel", "update", "delete"],
)
async def test_every_end_frees_the_conversation(ledger, agent, held, end):
    for _ in range(2):
        run = await ledger.create_run(agent, **held)
        await end(ledger, run.run_id)
    await ledger.create_run(agent, **held)


async def test_a_late_release_frees_nobody_elses_claim(ledger, agent, held):
    first = await ledger.create_run(agent, **held)
    await ledger.cancel_run(first.run_id)
    second = await ledger.create_run(agent, **held)
    await ledger.cancel_run(first.run_id)
    await ledger.delete_run(first.run_id)
    with pytest.raises(ConversationBusy) as caught:
        await ledger.create_run(agent, **held)
    assert caught.value.holder == second.run_id


async def test_a_refused_run_claims_nothing(ledger, agent, held):
    await ledger.create_run(agent, **held)
    refused = new_id("run")
    with pytest.raises(ConversationBusy):
        await ledger.create_run(agent, run_id=refused, **held)
    (run,) = await ledger.list_runs()
    await ledger.complete_run(run.run_id)
    # The id of the refused run is as free as the conversation.
    assert (await ledger.create_run(agent, run_id=refused, **held)).run_id == refused


async def test_runs_that_do_not_hold_a_conversation_share_it(ledger, agent, held):
    await ledger.create_run(agent, **held)
    for _ in range(2):
        await ledger.create_run(agent, conversation_id=held["conversation_id"])
    assert len(await ledger.list_runs(conversation_id=held["conversation_id"])) == 3


async def test_the_same_creation_again_does_not_wait_for_itself(ledger, agent, held):
    run_id = new_id("run")
    first = await ledger.create_run(agent, run_id=run_id, **held)
    assert await ledger.create_run(agent, run_id=run_id, **held) == first


async def test_two_organizations_may_use_one_conversation_id(ledger, stranger, agent, held):
    await ledger.create_run(agent, **held)
    await stranger.create_run(agent, **held)
    assert len(await ledger.list_runs(conversation_id=held["conversation_id"])) == 1


async def test_holding_needs_a_conversation(ledger, agent):
    with pytest.raises(InvalidArgument, match="expected a conversation_id beside it"):
        await ledger.create_run(agent, hold_conversation=True)
    with pytest.raises(InvalidId, match="conversation"):
        await ledger.create_run(agent, conversation_id="talk", hold_conversation=True)


async def test_a_claim_freed_by_another_process_is_seen(own_ledger, agent, held):
    async with own_ledger(read_models=False) as here, own_ledger(read_models=False) as there:
        run = await here.create_run(agent, **held)
        with pytest.raises(ConversationBusy):
            await there.create_run(agent, **held)
        await here.complete_run(run.run_id)
        again = await there.create_run(agent, **held)
        with pytest.raises(ConversationBusy) as caught:
            await here.create_run(agent, **held)
        assert caught.value.holder == again.run_id


@pytest.mark.slow
async def test_two_processes_of_eight_tasks_start_one_run_per_conversation(store_url, agent):
    conversations = [new_id("conv") for _ in range(20)]
    (await asyncio.to_thread(open_store, store_url)).close()
    workers = [
        subprocess.Popen(
            [sys.executable, str(WORKER), store_url, agent, *conversations],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for worker in workers:
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        worker.stdin.write("go\n")
        worker.stdin.flush()
    started = [worker.communicate(timeout=60)[0].split() for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0]
    store = await asyncio.to_thread(open_store, store_url)
    try:
        log = store.read_log(0, 10_000)
    finally:
        store.close()
    created = [row.stream for row in log if row.topic == "run.created"]
    claimed = [row.stream for row in log if row.topic == "conversation.claimed"]
    assert len(created) == len(claimed) == len(set(claimed)) == 20
    assert sorted(started[0] + started[1]) == sorted(created)
