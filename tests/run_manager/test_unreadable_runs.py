"""A run with an event that nobody can read: it can be deleted, and holds its conversation no more."""

import pytest

from runledger import Actor, RunLedger
from runledger.errors import ConversationBusy, NotFound, UndecodableEvent
from runledger.ids import new_id
from runledger.store.protocol import EncodedEvent, StreamWrite

TELEPORTED = EncodedEvent("run.teleported", b"{}", None)


async def unreadable_run(ledger: RunLedger, agent: str, *, after: int, **facts: object) -> str:
    """Return a run with such an event, and others after it."""
    run_id = (await ledger.create_run(agent, status="running", **facts)).run_id
    ledger.store.append([(StreamWrite(run_id, 2, (TELEPORTED,) * (1 + after)),)])
    return run_id


@pytest.mark.parametrize("opened_anew", [True, False])
@pytest.mark.parametrize("after", [0, 3])
async def test_it_can_be_deleted_and_frees_its_conversation(own_ledger, agent, after, opened_anew):
    conversation = new_id("conv")
    held = {"conversation_id": conversation, "hold_conversation": True}
    async with own_ledger() as ledger:
        run_id = await unreadable_run(ledger, agent, after=after, **held)
        if not opened_anew:
            await ledger.delete_run(run_id)
    async with own_ledger() as ledger:
        if not opened_anew:
            assert (await ledger.create_run(agent, **held)).status == "created"
            return
        for refused in (ledger.cancel_run, ledger.fail_run, ledger.record_heartbeat):
            with pytest.raises(UndecodableEvent, match="no such topic"):
                await refused(run_id)
        with pytest.raises(ConversationBusy):
            await ledger.create_run(agent, **held)
        with pytest.raises(NotFound):
            await ledger.delete_run(run_id, actor=Actor("somebody-else"))
        await ledger.delete_run(run_id)
        with pytest.raises(NotFound):
            await ledger.delete_run(run_id)
        assert (await ledger.create_run(agent, **held)).status == "created"
        assert run_id not in [run.run_id for run in await ledger.list_runs()]
        assert run_id not in [row.stream for row in await ledger.operator.parked()]


async def test_a_run_of_which_nothing_can_be_read_is_nobodys_to_delete(own_ledger, agent):
    async with own_ledger() as ledger:
        run_id = new_id("run")
        ledger.store.append([(StreamWrite(run_id, 0, (TELEPORTED,)),)])
        with pytest.raises(UndecodableEvent):
            await ledger.delete_run(run_id)
