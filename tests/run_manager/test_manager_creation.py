"""Creation: what a run may begin as, whose it is, and what its id must be."""

import asyncio
from datetime import UTC, datetime

import pytest

from runledger import Actor
from runledger.command_handling import participants
from runledger.errors import (
    ContentConflict,
    ConversationBusy,
    InvalidArgument,
    InvalidId,
    LedgerError,
    NotFound,
    ReadModelsMissing,
)
from runledger.ids import new_id
from runledger.run import STATUS_OF

BAD_RUN_IDS = [
    "run-12345678-xyz",
    "job-8d3c0f8e-5a3b-4f0e-9b6e-2f4b8f6f1a11",
    "run-8D3C0F8E-5A3B-4F0E-9B6E-2F4B8F6F1A11",
    "run-8d3c0f8e-5a3b-4f0e-9b6e-2f4b8f6f1a11\n",
    "run-8d3c0f8e-5a3b-1f0e-9b6e-2f4b8f6f1a11",
    "8d3c0f8e-5a3b-4f0e-9b6e-2f4b8f6f1a11",
    "",
]


@pytest.mark.parametrize("run_id", BAD_RUN_IDS)
async def test_an_id_that_could_not_be_read_is_not_created(ledger, agent, run_id):
    message = f"Invalid run ID format: {run_id!r}. Expected format: 'run-<uuid4>'"
    if run_id:  # without an id, one is made
        with pytest.raises(InvalidId) as created:
            await ledger.create_run(agent, run_id=run_id)
        assert str(created.value) == message
    with pytest.raises(InvalidId) as read:
        await ledger.get_run_by_id(run_id)
    assert str(read.value) == message


async def test_the_same_creation_again_is_the_same_run(ledger, agent):
    facts = {"run_id": new_id("run"), "metadata": {"a": 1}, "background": True}
    first = await ledger.create_run(agent, **facts)
    assert await ledger.create_run(agent, **facts) == first
    with pytest.raises(ContentConflict, match="recorded before with other content"):
        await ledger.create_run(agent, **{**facts, "metadata": {"a": 2}})
    with pytest.raises(ContentConflict):
        await ledger.create_run(agent, **facts, exist_ok=False)
    assert [run.run_id for run in await ledger.list_runs()] == [first.run_id]


async def test_one_id_created_by_eight_tasks_is_one_run(ledger, agent):
    run_id = new_id("run")
    results = await asyncio.gather(
        *(ledger.create_run(agent, run_id=run_id, exist_ok=False) for _ in range(8)),
        return_exceptions=True,
    )
    assert sum(isinstance(result, ContentConflict) for result in results) == 7


@pytest.mark.parametrize("stop_reason", STATUS_OF)
async def test_a_stop_reason_means_one_status(ledger, agent, stop_reason):
    run = await ledger.create_run(agent, stop_reason=stop_reason)
    assert run.status == STATUS_OF[stop_reason]
    assert run.stop_reason == stop_reason


async def test_a_run_may_begin_in_any_status(ledger, agent):
    for status in ("created", "running", "completed", "failed", "cancelled"):
        run = await ledger.create_run(agent, status=status)
        assert run.status == status
        assert (await ledger.get_run_by_id(run.run_id)).status == status
    listed = await ledger.list_runs(ascending=True)
    assert [run.status for run in listed] == [
        "created", "running", "completed", "failed", "cancelled"]  # fmt: skip


async def test_a_run_recorded_when_it_was_over_has_no_false_duration(ledger, agent):
    run = await ledger.create_run(agent, status="completed")
    assert run.run_ns is None
    assert (await ledger.list_runs(order_by="duration")) == []
    assert (await ledger.run_durations()).runs == 0
    measured = await ledger.create_run(agent, status="completed", run_ns=5)
    assert measured.run_ns == 5
    start, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 0, 0, 2, tzinfo=UTC)
    imported = await ledger.create_run(agent, status="failed", at=start, completed_at=end)
    assert (imported.created_at, imported.completed_at) == (start, end)
    assert imported.run_ns == 2_000_000_000
    with pytest.raises(InvalidArgument, match="completed_at needs"):
        await ledger.create_run(agent, at=start, completed_at=end)


async def test_an_unknown_agent_is_registered_at_first_sight(ledger, agent):
    await ledger.create_run(agent, project_id="project-1")
    found = await ledger.get_agent(agent)
    assert (found.agent_id, found.project_id) == (agent, "project-1")


async def test_an_unknown_agent_is_refused_where_the_ledger_says_so(own_ledger, agent):
    async with own_ledger(unknown_agents="reject") as ledger:
        with pytest.raises(NotFound, match=f"agent with id {agent} not found: register it first"):
            await ledger.create_run(agent)
        assert await ledger.list_runs() == []
        await ledger.register_agent(agent)
        assert (await ledger.create_run(agent)).agent_id == agent


async def test_an_agent_of_another_organization_is_unknown(own_ledger, agent):
    async with own_ledger(unknown_agents="reject") as ledger:
        await ledger.register_agent(agent, actor=Actor("org-a"))
        with pytest.raises(NotFound):
            await ledger.create_run(agent, actor=Actor("org-b"))


async def test_the_project_is_the_agents(ledger, agent):
    await ledger.register_agent(agent, project_id="project-1")
    run_id = new_id("run")
    run = await ledger.create_run(agent, run_id=run_id, project_id="project-2")
    assert run.project_id == "project-1"
    assert await ledger.create_run(agent, run_id=run_id, project_id="project-2") == run
    await ledger.register_agent(agent, project_id="project-3")
    assert (await ledger.create_run(agent)).project_id == "project-3"
    assert [r.project_id for r in await ledger.list_runs(project_id="project-1")] == ["project-1"]


async def test_a_project_given_by_another_process_holds_after_a_minute(
    own_ledger, agent, monkeypatch
):
    async with own_ledger(read_models=False) as here, own_ledger(read_models=False) as there:
        await here.register_agent(agent, project_id="old")
        assert (await there.create_run(agent)).project_id == "old"
        await here.register_agent(agent, project_id="new")
        assert (await there.get_agent(agent)).project_id == "new"
        assert (await there.create_run(agent)).project_id == "new"
        await here.register_agent(agent, project_id="newest")
        monkeypatch.setattr(participants, "AGENT_SECONDS", -1.0)
        assert (await there.create_run(agent)).project_id == "newest"


async def test_a_conversation_that_is_held_belongs_to_one_agent(ledger, agent):
    held = {"conversation_id": new_id("conv"), "hold_conversation": True}
    run = await ledger.create_run(agent, **held)
    await ledger.complete_run(run.run_id)
    other = new_id("agent")
    with pytest.raises(InvalidArgument, match=f"expected its agent '{agent}', found '{other}'"):
        await ledger.create_run(other, **held)
    assert len(await ledger.list_runs(conversation_id=held["conversation_id"])) == 1


async def test_a_conversation_that_is_not_held_is_a_label(ledger, agent):
    conversation = new_id("conv")
    first = await ledger.create_run(agent, conversation_id=conversation, hold_conversation=True)
    agents = {agent, new_id("agent"), new_id("agent")}
    for other in agents:
        await ledger.create_run(other, conversation_id=conversation)
    found = await ledger.list_runs(conversation_id=conversation)
    assert {run.agent_id for run in found} == agents
    assert len(found) == 4
    with pytest.raises(ConversationBusy):
        await ledger.create_run(agent, conversation_id=conversation, hold_conversation=True)
    await ledger.complete_run(first.run_id)
    await ledger.create_run(agent, conversation_id=conversation, hold_conversation=True)


async def test_a_deleted_run_is_gone_everywhere_and_its_id_stays_taken(ledger, agent):
    conversation = new_id("conv")
    kept = await ledger.create_run(agent, stop_reason="max_steps")
    run = await ledger.create_run(agent, conversation_id=conversation, hold_conversation=True)
    await ledger.record_step(
        run.run_id, model="m", prompt_tokens=3, messages=[{"role": "user", "content": "hi"}]
    )
    await ledger.list_runs()
    there = await asyncio.to_thread(ledger.store.head)
    assert len(await ledger.get_stored_messages(run.run_id, as_of=there)) == 1
    await ledger.delete_run(run.run_id)
    for from_the_past in (ledger.get_run_by_id, ledger.get_stored_messages, ledger.get_run_steps):
        with pytest.raises(NotFound):
            await from_the_past(run.run_id, as_of=there)
    await ledger.delete_run(kept.run_id)
    for question in (
        ledger.get_run_by_id,
        ledger.get_run_with_status,
        ledger.get_run_steps,
        ledger.get_run_usage,
        ledger.get_run_metrics,
        ledger.get_run_messages,
        ledger.get_stored_messages,
        ledger.get_run_request_config,
        ledger.complete_run,
        ledger.cancel_run,
    ):
        with pytest.raises(NotFound):
            await question(run.run_id)
    with pytest.raises(NotFound):
        await ledger.delete_run(run.run_id)
    assert await ledger.list_runs() == []
    assert await ledger.usage_totals() == []
    (shown,) = await ledger.list_agents()
    assert (shown.last_run_id, shown.last_stop_reason) == (None, None)
    with pytest.raises(ContentConflict):
        await ledger.create_run(agent, run_id=run.run_id)
    # The conversation was freed in the append that deleted the run which held it.
    await ledger.create_run(agent, conversation_id=conversation, hold_conversation=True)


async def test_lists_say_that_they_need_read_models_and_getters_do_not(own_ledger, agent):
    async with own_ledger(read_models=False) as ledger:
        run = await ledger.create_run(agent)
        assert await ledger.get_run_by_id(run.run_id) == run
        with pytest.raises(ReadModelsMissing, match="open the ledger with read_models=PATH"):
            await ledger.list_runs()


async def test_a_ledger_that_is_not_open_says_so(own_ledger, agent):
    ledger = own_ledger()
    with pytest.raises(LedgerError, match="the ledger is not open"):
        await ledger.create_run(agent)
