"""What goes wrong around a delivery: a store that is down, an event nobody can read, a bug."""

import asyncio
import json
from datetime import timedelta

import pytest

from projections.engine import Engine
from projections.generation import Generation
from runledger.callbacks.dispatcher import Dispatcher
from runledger.errors import StoreUnavailable
from runledger.outbound import GuardedClient
from runledger.run import commands
from runledger.store.protocol import EncodedEvent, StreamWrite
from tests.callbacks.conftest import BEGIN, Post, receiving, status, until


def test_an_attempt_that_could_not_be_recorded_is_recorded_later_and_not_repeated(
    local_store, clock, monkeypatch
):
    monkeypatch.setattr("runledger.callbacks.attempt._RECORD_AGAIN_SECONDS", 0.01)

    async def scenario():
        async with receiving(status(200)) as receiver, Post(local_store, clock) as post:
            run_id = await post.ended(receiver.url)
            original, failures = local_store.append, 3

            def failing(appends):
                nonlocal failures
                if failures:
                    failures -= 1
                    raise StoreUnavailable("the disk is full")
                return original(appends)

            monkeypatch.setattr(local_store, "append", failing)
            await post.deliver()
            return failures, len(receiver.requests), post.attempts(run_id)

    failures, count, attempts = asyncio.run(scenario())
    assert (failures, count) == (0, 1)
    assert [a.delivered for a in attempts] == [True]


@pytest.mark.parametrize(
    "said", [b"x" * 50_000 + b"\r\n\r\n", b"HTTP/1.1 200 \xff\xfe\x80\r\n\r\n", b"\x00" * 9, b""]
)
def test_what_is_no_answer_is_a_failed_attempt_with_a_short_error(local_store, clock, said):
    async def answer(_request, writer):
        writer.write(said)
        await writer.drain()

    async def scenario():
        async with receiving(answer) as receiver, Post(local_store, clock) as post:
            run_id = await post.ended(receiver.url)
            await post.deliver()
            return post.attempts(run_id)

    (attempt,) = asyncio.run(scenario())
    assert attempt.final is attempt.delivered
    assert len(attempt.error or "") <= 300


def test_a_store_that_is_down_stops_nothing_for_good(tmp_path, clock, monkeypatch, caplog):
    from runledger import RunLedger
    from runledger.callbacks import CallbackSettings
    from tests.callbacks.conftest import LOCAL

    async def scenario():
        url = f"sqlite:///{tmp_path}/runs.db"
        async with (
            receiving(status(200)) as receiver,
            RunLedger.open(url, callbacks=CallbackSettings(**LOCAL)) as ledger,
        ):
            await until(lambda: ledger.store.leads("callbacks"))
            original = ledger.store.head

            def down():
                raise StoreUnavailable("no answer")

            monkeypatch.setattr(ledger.store, "head", down)
            run = await ledger.create_run("agent-a", callback_url=receiver.url)
            await ledger.complete_run(run.run_id)
            await until(lambda: "callbacks are not sent at the moment: no answer" in caplog.text)
            monkeypatch.setattr(ledger.store, "head", original)
            await until(lambda: receiver.requests)

    asyncio.run(scenario())


def test_an_event_that_cannot_be_read_holds_back_the_checkpoint_and_nothing_else(
    local_store, clock, caplog
):
    async def scenario():
        async with receiving(status(200)) as receiver, Post(local_store, clock) as post:
            first = await post.ended(receiver.url)
            newer = await post.ended(receiver.url, commands.StartRun())
            facts = {"revision": 99, "says": "what no version knows yet"}
            event = EncodedEvent("run.completed", json.dumps(facts).encode(), None)
            local_store.append([(StreamWrite(newer, 2, (event,)),)])
            unread = local_store.head()
            last = await post.ended(receiver.url)
            await post.deliver()
            return first, last, unread, post.outbox.checkpoint, receiver.requests

    first, last, unread, checkpoint, requests = asyncio.run(scenario())
    assert {json.loads(request.body)["run_id"] for request in requests} == {first, last}
    assert checkpoint == unread - 1
    assert f"position {unread} cannot be read" in caplog.text


def test_a_run_that_cannot_be_read_is_tried_again_and_delays_no_other(
    local_store, clock, monkeypatch, caplog
):
    async def scenario():
        async with receiving(status(200)) as receiver, Post(local_store, clock) as post:
            bad = await post.ended(receiver.url)
            good = await post.ended(receiver.url)
            original = post.handler.load

            async def load(actor, run_id):
                if run_id == bad:
                    raise ZeroDivisionError("a bug")
                return await original(actor, run_id)

            monkeypatch.setattr(post.handler, "load", load)
            await post.deliver()
            before = (post.attempts(bad), len(post.attempts(good)))
            monkeypatch.setattr(post.handler, "load", original)
            clock.advance(60)
            await post.deliver()
            return before, post.attempts(bad)

    before, attempts = asyncio.run(scenario())
    assert before == ([], 1)
    assert [a.delivered for a in attempts] == [True]
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("seconds", [-3600, 3600])
def test_a_writer_whose_clock_is_wrong_delays_nothing(local_store, clock, seconds):
    async def scenario():
        async with receiving(status(200)) as receiver, Post(local_store, clock) as post:
            clock.advance(seconds)
            await post.ended(receiver.url)
            clock.advance(-seconds)
            await post.deliver()
            return len(receiver.requests)

    assert asyncio.run(scenario()) == 1


def test_a_replay_of_the_read_models_sends_nothing(local_store, clock):
    async def scenario():
        async with receiving(status(500)) as receiver, Post(local_store, clock) as post:
            for _ in range(5):
                await post.ended(receiver.url)
            await post.deliver()
            count, head = receiver.connections, local_store.head()
            clock.advance(3600)
            for _ in range(2):
                generation, reader = Generation(":memory:"), local_store.log_reader()
                await asyncio.to_thread(Engine(generation, reader).catch_up, head)
                rows = generation.cursor().execute("SELECT status FROM callbacks").fetchall()
                reader.close()
                generation.close()
            return count, receiver.connections, head, local_store.head(), rows

    count, after, head, head_after, rows = asyncio.run(scenario())
    assert (count, after) == (5, 5)
    assert head == head_after
    assert rows == [("pending",)] * 5


def test_a_long_log_is_followed_in_pages_from_the_checkpoint(local_store, clock, monkeypatch):
    monkeypatch.setattr("runledger.callbacks.outbox._PAGE", 7)
    monkeypatch.setattr("runledger.callbacks.outbox._STRETCH", 30)

    async def scenario():
        async with receiving(status(200)) as receiver, Post(local_store, clock) as post:
            for number in range(25):
                await post.ended(receiver.url if number % 3 else None)
            await post.deliver()
            await post.courier.save()
            head = local_store.head()
            read = []
            original = local_store.read_log

            def reading(after, *more, **bounds):
                read.append(after)
                return original(after, *more, **bounds)

            monkeypatch.setattr(local_store, "read_log", reading)
            post.begin_again()
            await post.ended(receiver.url)
            await post.deliver()
            return len(receiver.requests), head, read

    count, head, read = asyncio.run(scenario())
    assert count == 17
    assert min(read) >= head - 17  # the attempts themselves, at most


def test_the_checkpoint_lies_before_what_is_outstanding(local_store, clock):
    codes = {"slow": 500}

    async def answer(request, writer):
        await status(codes.get(request.path[1:], 200))(request, writer)

    async def scenario():
        async with receiving(answer) as receiver, Post(local_store, clock) as post:
            await post.ended(receiver.url)
            before = local_store.head()
            slow = await post.ended(f"http://127.0.0.1:{receiver.port}/slow")
            for _ in range(5):
                await post.ended(receiver.url)
            await post.deliver()
            await post.courier.save()
            held = local_store.checkpoint("callbacks")
            post.begin_again()
            codes.clear()
            clock.advance(5)
            await post.deliver()
            await post.courier.save()
            return before, held, post.attempts(slow), receiver.requests

    before, held, attempts, requests = asyncio.run(scenario())
    assert before <= held < before + 3
    assert [a.delivered for a in attempts] == [False, True]
    assert attempts[0].next_attempt_at == BEGIN + timedelta(seconds=5)
    assert len(requests) == 8


def test_a_dispatcher_that_never_began_can_be_closed(local_store, clock):
    async def scenario():
        async with Post(local_store, clock) as post:
            client = GuardedClient()
            await Dispatcher(local_store, post.handler, post.settings, client=client).close()

    asyncio.run(scenario())
