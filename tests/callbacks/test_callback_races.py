"""Events that are written while an attempt is on its way: a second end, a request to send again."""

import asyncio
import copy
import json

import pytest

from runledger.command_handling.batch import CommandBatch
from runledger.command_handling.handler import CommandHandler
from runledger.run import commands
from tests.callbacks.conftest import Post, receiving, status


class Meanwhile:
    """In place of `execute`: another process writes beside the first attempt, and it is read.

    `before` says whether that stands before the attempt in the stream; if not, the attempt's
    outcome reaches the courier when the log has already told of what follows it.
    """

    def __init__(self, post, word, *, before):
        self.post, self.words, self.before = post, [word], before
        self.original = post.handler.execute

    async def __call__(self, order):
        words, self.words = self.words, []
        if self.before:
            await self._write(order, words)
        outcome = await self.original(order)
        outcome = outcome._replace(run=copy.deepcopy(outcome.run))
        if not self.before:
            await self._write(order, words)
        return outcome

    async def _write(self, order, words):
        other = CommandHandler(self.post.store, clock=self.post.clock)
        for word in words:
            await other.execute(CommandBatch(order.actor, order.run_id, (word,)))
        other.close()
        while await self.post.courier.follow():
            pass


def told(store, clock, monkeypatch, codes, end, word, *, before):
    """Return the run's id, the requests and attempts of one moment, checkpoint and head."""
    left = list(codes)

    async def answer(request, writer):
        await status(left.pop(0))(request, writer)

    async def scenario():
        async with receiving(answer) as receiver, Post(store, clock) as post:
            run_id = await post.ended(receiver.url, end)
            monkeypatch.setattr(post.handler, "execute", Meanwhile(post, word, before=before))
            await post.deliver()
            place = post.outbox.checkpoint, store.head()
            return run_id, receiver.requests, post.attempts(run_id), place

    return asyncio.run(scenario())


@pytest.mark.parametrize("code", [200, 410, 500])
@pytest.mark.parametrize("before", [True, False])
def test_a_second_end_is_told_at_once(local_store, clock, monkeypatch, before, code):
    end, word = commands.CompleteRun("requires_approval"), commands.CancelRun()
    run_id, requests, attempts, (checkpoint, head) = told(
        local_store, clock, monkeypatch, [code, 200], end, word, before=before
    )
    second = 3 if before else 4
    assert [(r.headers["webhook-id"], json.loads(r.body)["status"]) for r in requests] == [
        (f"{run_id}-2", "completed"),
        (f"{run_id}-{second}", "cancelled"),
    ]
    assert [a.status_code for a in attempts] == [code, 200]
    assert checkpoint == head


@pytest.mark.parametrize("code", [410, 500])
@pytest.mark.parametrize("before", [True, False])
def test_a_request_is_served_at_once_whatever_the_attempt_before_it_came_to(
    local_store, clock, monkeypatch, before, code
):
    end, word = commands.CompleteRun(), commands.RequestCallback()
    _, requests, attempts, (checkpoint, head) = told(
        local_store, clock, monkeypatch, [code, 200], end, word, before=before
    )
    assert [(a.status_code, a.delivered) for a in attempts] == [(code, False), (200, True)]
    assert len({r.headers["webhook-id"] for r in requests}) == 1
    assert checkpoint == head


def test_a_request_after_a_delivery_is_served_by_another_one(local_store, clock, monkeypatch):
    end, word = commands.CompleteRun(), commands.RequestCallback()
    _, requests, attempts, (checkpoint, head) = told(
        local_store, clock, monkeypatch, [200, 200], end, word, before=False
    )
    assert [a.redelivery for a in attempts] == [False, True]
    assert len(requests) == 2
    assert checkpoint == head


@pytest.mark.parametrize(("code", "later"), [(200, []), (410, []), (500, [200])])
def test_what_another_dispatcher_sent_is_not_sent_again(local_store, clock, code, later):
    """Two that believe to lead: the run's stream tells the slower one what there is left to do."""
    left = [code, *later]

    async def answer(request, writer):
        await status(left.pop(0))(request, writer)

    async def scenario():
        async with (
            receiving(answer) as receiver,
            Post(local_store, clock) as one,
            Post(local_store, clock) as two,
        ):
            run_id = await one.ended(receiver.url)
            assert await two.courier.follow()
            await one.deliver()
            two.courier.send_due()
            await asyncio.wait(two.courier.in_flight)
            assert len(receiver.requests) == 1
            clock.advance(5)
            await two.deliver()
            return receiver.requests, two.attempts(run_id), dict(two.outbox.pending)

    requests, attempts, pending = asyncio.run(scenario())
    assert [a.status_code for a in attempts] == [code, *later]
    assert len(requests) == len(attempts)
    assert pending == {}
