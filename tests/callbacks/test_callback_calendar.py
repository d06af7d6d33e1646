"""Retries under a clock that stands still: the whole calendar, and what changes it."""

import asyncio
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runledger.callbacks import CALENDAR, CallbackSettings
from runledger.callbacks.retries import retry_after, wait_after
from runledger.run import commands
from tests.callbacks.conftest import BEGIN, Post, receiving, status


@pytest.mark.parametrize("restarts", [False, True])
def test_the_whole_calendar_is_tried_and_then_given_up(store, clock, restarts):
    async def scenario():
        async with receiving(status(500)) as receiver, Post(store, clock) as post:
            run_id = await post.ended(receiver.url)
            for number, wait in enumerate(CALENDAR, 1):
                clock.advance(wait - 1 if wait else 0)
                await post.deliver()
                assert len(receiver.requests) == (number - 1 if wait else number)
                clock.advance(1 if wait else 0)
                if restarts:  # a process that starts anew goes on where the events say
                    post.begin_again()
                await post.deliver()
                assert len(receiver.requests) == number
            clock.advance(10**7)
            await post.deliver()
            return receiver.requests, post.attempts(run_id), dict(post.outbox.pending)

    requests, attempts, pending = asyncio.run(scenario())
    assert sum(CALENDAR) == 75 * 3600 + 35 * 60 + 5
    assert len(requests) == len(attempts) == 10
    assert {request.headers["webhook-id"] for request in requests} == {attempts[0].webhook_id}
    times = [int(request.headers["webhook-timestamp"]) for request in requests]
    assert [b - a for a, b in pairwise(times)] == list(CALENDAR[1:])
    assert [a.attempt for a in attempts] == list(range(1, 11))
    assert [a.final for a in attempts] == [False] * 9 + [True]
    assert not any(a.delivered for a in attempts)
    assert {a.status_code for a in attempts} == {500}
    assert attempts[0].error == "expected a status of 200 to 299, found 500"
    assert [a.next_attempt_at for a in attempts[:2]] == [
        BEGIN + timedelta(seconds=5),
        BEGIN + timedelta(seconds=305),
    ]
    assert attempts[-1].next_attempt_at is None
    assert pending == {}


@given(st.integers(1, 9), st.floats(0, 1), st.floats(0, 0.5))
def test_the_jitter_spreads_a_wait_by_no_more_than_its_share(tries, chance, jitter):
    settings = CallbackSettings(jitter=jitter)
    wait = wait_after(tries, settings, lambda: chance).total_seconds()
    low, high = CALENDAR[tries] * (1 - jitter), CALENDAR[tries] * (1 + jitter)
    assert low - 1e-6 <= wait <= high + 1e-6
    assert wait_after(10, settings, lambda: chance) is None


def test_the_jitter_of_the_dispatcher_is_that_of_its_chance(local_store, clock):
    async def scenario():
        async with receiving(status(500)) as receiver, Post(local_store, clock) as post:
            waits = []
            for post.chance in (0.0, 1.0):
                run_id = await post.ended(receiver.url)
                await post.deliver()
                waits.append(post.attempts(run_id)[0].next_attempt_at - BEGIN)
            return waits

    assert asyncio.run(scenario()) == [timedelta(seconds=4.5), timedelta(seconds=5.5)]


@pytest.mark.parametrize("code", [200, 201, 204, 299])
def test_every_2xx_is_success_and_nothing_is_sent_after_it(local_store, clock, code):
    async def scenario():
        async with receiving(status(code)) as receiver, Post(local_store, clock) as post:
            run_id = await post.ended(receiver.url)
            await post.deliver()
            clock.advance(10**6)
            await post.deliver()
            post.begin_again()
            await post.deliver()
            return len(receiver.requests), post.attempts(run_id)

    count, [attempt] = asyncio.run(scenario())
    assert count == 1
    assert (attempt.status_code, attempt.error) == (code, None)
    assert (attempt.delivered, attempt.final) == (True, True)
    assert attempt.attempt_ns > 0


@pytest.mark.parametrize("code", [301, 302, 307, 400, 404, 429, 500, 503])
def test_everything_else_is_tried_again_and_redirects_are_not_followed(local_store, clock, code):
    async def scenario():
        async with receiving(status(200)) as elsewhere:
            answer = status(code, location=elsewhere.url)
            async with receiving(answer) as receiver, Post(local_store, clock) as post:
                run_id = await post.ended(receiver.url)
                await post.deliver()
                return elsewhere.connections, post.attempts(run_id)

    followed, [attempt] = asyncio.run(scenario())
    assert followed == 0
    assert (attempt.delivered, attempt.final) == (False, False)
    assert attempt.status_code == code
    assert attempt.next_attempt_at == BEGIN + timedelta(seconds=5)


def test_gone_ends_it(local_store, clock):
    async def scenario():
        async with receiving(status(410)) as receiver, Post(local_store, clock) as post:
            run_id = await post.ended(receiver.url)
            for _ in range(3):
                await post.deliver()
                clock.advance(10**5)
            return len(receiver.requests), post.attempts(run_id)

    count, [attempt] = asyncio.run(scenario())
    assert (count, attempt.final, attempt.delivered) == (1, True, False)


@pytest.mark.parametrize(
    ("code", "header", "seconds"),
    [
        (429, "120", 120),
        (503, "120", 120),
        (503, "2", 5),  # the calendar waits longer
        (503, "Fri, 01 May 2026 00:10:00 GMT", 600),
        (429, "31536000", 3600),  # the cap
        (429, "9" * 400, 3600),
        (429, "soon", 5),
        (429, "-1", 5),
        (429, "Thu, 30 Apr 2026 00:00:00 GMT", 5),
        (429, "Fri, 31 Dec 9999 23:59:59 GMT", 3600),
        (500, "120", 5),  # only the two that throttle
    ],
)
def test_retry_after_is_honoured_within_its_cap(local_store, clock, code, header, seconds):
    async def scenario():
        answer = status(code, retry_after=header)
        async with receiving(answer) as receiver, Post(local_store, clock) as post:
            run_id = await post.ended(receiver.url)
            await post.deliver()
            return post.attempts(run_id)

    [attempt] = asyncio.run(scenario())
    assert attempt.next_attempt_at == BEGIN + timedelta(seconds=seconds)


@given(st.text(max_size=40))
def test_no_retry_after_header_breaks_anything(text):
    wait = retry_after({"retry-after": text}, BEGIN, CallbackSettings())
    assert wait is None or timedelta(0) <= wait <= timedelta(hours=1)


def test_a_request_begins_the_calendar_anew_with_the_same_id(local_store, clock):
    codes = [410, 500, 200]

    async def answer(request, writer):
        await status(codes.pop(0))(request, writer)

    async def scenario():
        async with receiving(answer) as receiver, Post(local_store, clock) as post:
            run_id = await post.ended(receiver.url)
            await post.deliver()
            await post.execute(run_id, commands.RequestCallback())
            await post.deliver()
            clock.advance(5)
            post.begin_again()
            await post.deliver()
            clock.advance(10**6)
            await post.deliver()
            return post.attempts(run_id)

    attempts = asyncio.run(scenario())
    assert [(a.attempt, a.status_code, a.redelivery) for a in attempts] == [
        (1, 410, False),
        (2, 500, True),
        (3, 200, True),
    ]
    assert len({a.webhook_id for a in attempts}) == 1
    assert attempts[1].next_attempt_at == BEGIN + timedelta(seconds=5)
