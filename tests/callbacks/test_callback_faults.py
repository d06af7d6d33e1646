"""Faults around a delivery: a store that is down, an event that cannot be read, a bug."""

import asyncio
import json
import logging
from datetime import timedelta

import pytest

from projections.fold.engine import Engine
from projections.fold.generation import Generation
from runledger.callbacks.dispatcher import Dispatcher
from runledger.errors import StoreUnavailable
from runledger.ids import new_id
from runledger.messages import Function, Message, ToolCall
from runledger.outbound import GuardedClient
from runledger.run import Actor, commands
from runledger.store.codec import encode
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


def message(text: str = "hi", **fields) -> Message:
    return Message(id=new_id("message"), role="assistant", content=text, **fields)


def test_half_an_emoji_in_what_the_agent_says_is_delivered(local_store, clock):
    said = Function(name="send_message", arguments=r'{"message": "so \ud83d"}')
    spoken = message("", tool_calls=[ToolCall(id="c", function=said)])

    async def scenario():
        async with receiving(status(200)) as receiver, Post(local_store, clock) as post:
            await post.ended(
                receiver.url, commands.RecordMessages([spoken]), commands.CompleteRun()
            )
            await post.deliver()
            return [json.loads(request.body) for request in receiver.requests]

    (body,) = asyncio.run(scenario())
    assert [m["content"] for m in body["metadata"]["result"]["messages"]] == ["so \ufffd"]


async def damaged(post: Post, url: str, *, contents: bytes | None = None) -> str:
    """Make a run that ended, with an event that cannot be decoded in its contents, or else at all."""
    run_id = await post.ended(
        url, commands.RecordMessages([message()]), commands.CompleteRun("requires_approval")
    )
    (*_, recorded, _) = post.store.read_stream(run_id)
    late = recorded.event.messages[0].model_copy(update={"message_id": new_id("message")})
    stored = encode(recorded.event.model_copy(update={"late": True, "messages": [late]}))
    facts = stored.facts if contents else b'{"revision":99}'
    event = EncodedEvent(stored.topic, facts, contents)
    version = post.store.read_stream(run_id)[-1].version
    post.store.append([(StreamWrite(run_id, version, (event,)),)])
    return run_id


def test_a_body_that_cannot_be_made_is_a_failed_attempt_and_is_given_up_in_the_end(
    local_store, clock, caplog
):
    async def scenario():
        async with (
            receiving(status(200)) as receiver,
            Post(local_store, clock, calendar=(0, 10, 20), jitter=0) as post,
        ):
            run_id = await damaged(post, receiver.url, contents=b'{"bodies":[{"id":7}]}')
            good = await post.ended(receiver.url)
            for _ in range(5):
                await post.deliver()
                clock.advance(20)
            run = await post.handler.load(Actor(), run_id)
            return run, post.attempts(run_id), len(post.attempts(good)), receiver.requests

    run, attempts, others, requests = asyncio.run(scenario())
    assert (others, len(requests)) == (1, 1)
    assert [(a.attempt, a.final, a.delivered) for a in attempts] == [
        *((1, False, False), (2, False, False), (3, True, False))
    ]
    for attempt in attempts:
        assert attempt.status_code is None
        assert attempt.error.startswith("not sent: the body could not be made: UndecodableEvent: ")
    assert (run.delivery.status, run.callback_error) == ("failed", attempts[-1].error)
    assert "Traceback" not in caplog.text


def test_an_error_that_repeats_what_is_no_text_is_recorded_all_the_same(
    local_store, clock, monkeypatch, caplog
):
    # What is logged goes through pipes of the tests that take text alone.
    caplog.set_level(logging.CRITICAL, "runledger.callbacks")

    def fails(*_):
        raise ValueError("cannot write '\ud83d'")

    monkeypatch.setattr("runledger.callbacks.attempt.full_payload", fails)

    async def scenario():
        async with receiving(status(200)) as receiver, Post(local_store, clock) as post:
            run_id = await post.ended(receiver.url)
            await post.deliver()
            return post.attempts(run_id)

    (attempt,) = asyncio.run(scenario())
    assert attempt.error.endswith(r"ValueError: cannot write '\ud83d'")
    assert not attempt.final


def test_a_store_that_fails_under_the_body_costs_no_attempt(local_store, clock, monkeypatch):
    def fails(*_):
        raise StoreUnavailable("no answer")

    async def scenario():
        async with receiving(status(200)) as receiver, Post(local_store, clock) as post:
            run_id = await post.ended(receiver.url)
            with monkeypatch.context() as patch:
                patch.setattr("runledger.callbacks.attempt.full_payload", fails)
                await post.deliver()
            before = post.attempts(run_id)
            clock.advance(60)
            await post.deliver()
            return before, post.attempts(run_id)

    before, attempts = asyncio.run(scenario())
    assert before == []
    assert [a.delivered for a in attempts] == [True]


def test_a_run_whose_facts_cannot_be_read_is_looked_at_less_and_less_and_not_given_up(
    local_store, clock, caplog
):
    async def scenario():
        async with receiving(status(200)) as receiver, Post(local_store, clock) as post:
            run_id = await damaged(post, receiver.url)
            looks = []
            for minute in range(128):
                caplog.clear()
                await post.deliver()
                if f"run {run_id}: the callback could not be attempted" in caplog.text:
                    looks.append(minute)
                    assert "Traceback" not in caplog.text
                clock.advance(60)
            return looks, post.outbox.pending.keys() == {run_id}, receiver.requests

    looks, pending, requests = asyncio.run(scenario())
    assert looks == [0, 1, 3, 7, 15, 31, 63, 127]
    assert pending
    assert requests == []


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


@pytest.mark.slow
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
