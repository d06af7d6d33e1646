"""Runs that nobody ends and approvals that nobody gives: ended from outside, once, for a reason."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from runledger import Actor
from runledger.errors import AlreadyEnded, InvalidArgument, ReadModelsMissing
from runledger.ids import new_id
from runledger.store.protocol import EncodedEvent, StreamWrite

START = datetime(2026, 1, 1, tzinfo=UTC)


class Clock:
    """The ledger's clock, moved by the test."""

    def __init__(self) -> None:
        self.moment = START

    def __call__(self) -> datetime:
        return self.moment

    def forward(self, **delta: int) -> None:
        self.moment += timedelta(**delta)


@pytest.mark.slow
async def test_a_silent_run_is_failed_as_lost_and_its_conversation_freed(own_ledger, agent):
    clock = Clock()
    async with own_ledger(clock=clock) as ledger:
        conversation = new_id("conv")
        held = {"conversation_id": conversation, "hold_conversation": True}
        lost = await ledger.create_run(agent, status="running", **held)
        await ledger.record_messages(
            lost.run_id,
            [{"role": "assistant",
              "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{}"}}]}],
        )  # fmt: skip
        alive = await ledger.create_run(agent)
        waiting = await ledger.create_run(agent, stop_reason="requires_approval")
        clock.forward(minutes=50)
        await ledger.record_heartbeat(alive.run_id)
        clock.forward(minutes=20)
        assert await ledger.expire_runs(older_than=timedelta(hours=1)) == [lost.run_id]
        found = await ledger.get_run_by_id(lost.run_id)
        assert (found.status, found.stop_reason, found.error_type) == ("failed", "error", "lost")
        assert "2026-01-01T00:00:00" in found.error_message
        last = (await ledger.get_stored_messages(lost.run_id))[-1]
        assert [(r.tool_call_id, r.status) for r in last.tool_returns] == [("c", "error")]
        assert (await ledger.create_run(agent, **held)).status == "created"
        assert (await ledger.get_run_by_id(alive.run_id)).status == "running"
        assert (await ledger.get_run_by_id(waiting.run_id)).status == "completed"
        assert await ledger.expire_runs(older_than=timedelta(hours=1)) == []
        with pytest.raises(AlreadyEnded):
            await ledger.record_heartbeat(lost.run_id)


async def test_two_expiries_at_once_end_a_run_once(own_ledger, agent):
    clock = Clock()
    async with own_ledger(clock=clock) as ledger:
        runs = [(await ledger.create_run(agent)).run_id for _ in range(20)]
        clock.forward(hours=2)
        both = await asyncio.gather(
            *(ledger.expire_runs(older_than=timedelta(hours=1)) for _ in range(2))
        )
        assert sorted(both[0] + both[1]) == sorted(runs)
        log = await asyncio.to_thread(ledger.store.read_log, 0, 1000, ["run.failed"])
        assert len(log) == 20


async def test_a_run_that_nobody_can_read_does_not_keep_others_from_their_end(
    own_ledger, agent, caplog
):
    clock = Clock()
    async with own_ledger(clock=clock) as ledger:
        runs = [await ledger.create_run(agent) for _ in range(5)]
        unreadable = runs[2].run_id
        event = EncodedEvent("run.teleported", b"{}", None)
        ledger.store.append([(StreamWrite(unreadable, 1, (event,)),)])
        clock.forward(hours=2)
        expired = await ledger.expire_runs(older_than=timedelta(hours=1))
        assert sorted(expired) == sorted({run.run_id for run in runs} - {unreadable})
        assert unreadable in caplog.text
        assert "no such topic" in caplog.text


async def test_expiry_is_an_organizations_own_unless_it_is_asked_for_all(own_ledger, agent):
    clock = Clock()
    ours, theirs = Actor("org-a"), Actor("org-b")
    async with own_ledger(clock=clock) as ledger:
        a = await ledger.create_run(agent, actor=ours)
        b = await ledger.create_run(agent, actor=theirs)
        clock.forward(hours=2)
        hour = timedelta(hours=1)
        assert await ledger.expire_runs(older_than=hour, actor=ours) == [a.run_id]
        expired = await ledger.expire_runs(
            older_than=hour, actor=Actor(user="cron"), every_organization=True
        )
        assert expired == [b.run_id]
        (_, failed) = await asyncio.to_thread(ledger.store.read_stream, b.run_id)
        assert (failed.event.organization, failed.event.user) == ("org-b", "cron")


async def test_an_approval_has_a_deadline(own_ledger, agent):
    clock = Clock()
    async with own_ledger(clock=clock) as ledger:
        run_ids = []
        for answered in (False, "by call", "by request"):
            run = await ledger.create_run(agent)
            call = {"id": "c", "function": {"name": "pay", "arguments": "{}"}}
            (request,) = await ledger.record_messages(
                run.run_id,
                [{"role": "approval", "tool_calls": [call]}],
                approval_deadline=START + timedelta(hours=1),
            )
            await ledger.complete_run(run.run_id, stop_reason="requires_approval")
            yes = {"type": "approval", "tool_call_id": "c", "approve": True}
            whole = {"approve": True, "approval_request_id": request}
            if answered:
                answer = {"approvals": [yes]} if answered == "by call" else whole
                await ledger.record_messages(run.run_id, [{"role": "approval", **answer}])
            run_ids.append(run.run_id)
        forgotten, *granted = run_ids
        assert await ledger.expire_approvals() == []
        clock.forward(hours=1)
        assert await ledger.expire_approvals() == [forgotten]
        assert await ledger.expire_approvals() == []
        denial, returned = (await ledger.get_stored_messages(forgotten))[-2:]
        assert [a.approve for a in denial.approvals] == [False]
        assert "did not arrive in time" in denial.approvals[0].reason
        assert returned.tool_returns[0].status == "error"
        assert (await ledger.get_run_by_id(forgotten)).approval_deadline is None
        for run_id in granted:
            assert len(await ledger.get_stored_messages(run_id)) == 2


async def test_expiry_refuses_what_it_cannot_do(own_ledger, agent):
    async with own_ledger(read_models=False) as ledger:
        with pytest.raises(ReadModelsMissing):
            await ledger.expire_runs(older_than=timedelta(hours=1))
        with pytest.raises(ReadModelsMissing):
            await ledger.expire_approvals()
        with pytest.raises(InvalidArgument, match="0 or more"):
            await ledger.expire_runs(older_than=timedelta(hours=-1))
