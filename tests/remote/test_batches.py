"""Commands of many tasks go in few requests, and none fails for another."""

import asyncio
import math

import pytest

from runledger.errors import InvalidArgument, NotFound
from runledger.ids import new_id
from runledger.remote.connection import Connection

pytestmark = pytest.mark.slow


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many lines each batch has that is sent."""
    sent: list[int] = []
    send = Connection.batch

    async def counted(self, lines, answer):
        sent.append(lines.count(b"\n"))
        return await send(self, lines, answer)

    monkeypatch.setattr(Connection, "batch", counted)
    return sent


async def test_many_tasks_share_requests(server, remote, batches) -> None:
    async with remote() as ledger:

        async def work() -> str:
            run = await ledger.create_run("agent-a")
            for number in range(5):
                await ledger.record_step(run.run_id, prompt_tokens=number)
                await ledger.record_messages(run.run_id, [{"role": "user", "content": "hi"}])
                await ledger.record_heartbeat(run.run_id)
            return run.run_id

        runs = await asyncio.gather(*(work() for _ in range(40)))
        assert sum(batches) == 40 * 15
        assert len(batches) < sum(batches) / 2
        for run_id in runs:
            topics = [row.event.topic for row in server.ledger.store.read_stream(run_id)]
            assert topics == ["run.created", *(["run.step_recorded", "run.messages_recorded",
                                                "run.heartbeat_recorded"] * 5)]  # fmt: skip


async def test_a_refused_command_fails_alone(server, remote, batches) -> None:
    async with remote() as ledger:
        runs = [(await ledger.create_run("agent-a")).run_id for _ in range(6)]
        done = await asyncio.gather(
            ledger.record_step(runs[0]),
            ledger.record_step(runs[1], prompt_tokens=-1),
            ledger.record_step(new_id("run")),
            # What is no JSON refuses the whole batch that it is in.
            ledger.record_step(runs[2], error_data={"a": math.nan}),
            ledger.record_messages(runs[3], [{"role": "user", "content": "hi"}, {"role": "x"}]),
            ledger.record_messages(runs[4], [{"role": "user", "content": "hi"}]),
            ledger.record_heartbeat(runs[5]),
            return_exceptions=True,
        )
        kinds = [type(one) for one in done]
        assert kinds == [
            str, InvalidArgument, NotFound, InvalidArgument, InvalidArgument, list, type(None)
        ]  # fmt: skip
        versions = [(await ledger.get_run_by_id(run_id)).version for run_id in runs]
        assert versions == [2, 1, 1, 1, 2, 2]


async def test_tasks_on_one_run_do_not_fail_for_each_other(remote, batches) -> None:
    async with remote() as ledger:
        run = await ledger.create_run("agent-a")
        done = await asyncio.gather(
            *(ledger.record_step(run.run_id, prompt_tokens=number - 1) for number in range(10)),
            return_exceptions=True,
        )
        assert isinstance(done[0], InvalidArgument)
        assert all(isinstance(one, str) for one in done[1:])
        assert (await ledger.get_run_by_id(run.run_id)).num_steps == 9
        # In the order in which they were told.
        steps = await ledger.get_run_steps(run.run_id)
        assert [step.step_id for step in steps] == done[1:]


async def test_what_was_submitted_is_sent_before_the_ledger_is_closed(server, remote) -> None:
    ledger = remote()
    async with ledger:
        run = await ledger.create_run("agent-a")
        waiting = asyncio.ensure_future(ledger.record_step(run.run_id))
        await asyncio.sleep(0)
    assert await waiting
    assert server.do(server.ledger.get_run_by_id(run.run_id)).num_steps == 1
