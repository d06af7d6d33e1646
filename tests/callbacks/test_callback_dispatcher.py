"""The dispatcher inside a ledger: one sends, another takes over, closing leaves nothing behind."""

import asyncio
import logging
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook

from runledger import Actor, RunLedger
from runledger.callbacks import CallbackSettings
from runledger.callbacks.outbox import Outbox
from runledger.errors import IllegalTransition, InvalidArgument, NotFound
from runledger.store import open_store
from tests.callbacks.conftest import KEY, LOCAL, receiving, status, until

pytestmark = pytest.mark.slow

SETTINGS = CallbackSettings(**LOCAL)
WRITER = CallbackSettings(**LOCAL, dispatch=False)


async def ended(ledger, url, **facts):
    run = await ledger.create_run("agent-a", callback_url=url, **facts)
    return (await ledger.complete_run(run.run_id)).run_id


def test_the_end_of_a_run_is_told_and_the_run_shows_it(store_url, tmp_path):
    async def scenario():
        async with (
            receiving(status(200)) as receiver,
            RunLedger.open(store_url, tmp_path / "r.duckdb", callbacks=SETTINGS) as ledger,
        ):
            run_id = await ended(ledger, receiver.url, metadata={"job": 7})
            await until(lambda: receiver.requests)

            async def shown():
                run = await ledger.get_run_by_id(run_id)
                return run if run.callback_sent_at else None

            run = await until(shown)
            (listed,) = await ledger.list_runs()
            (row,) = await ledger.list_callbacks()
            return receiver.requests, run, listed, row, await ledger.get_callback(run_id)

    [request], run, listed, row, callback = asyncio.run(scenario())
    body = Webhook(KEY).verify(request.body, request.headers)
    assert (body["run_id"], body["status"], body["metadata"]["job"]) == (run.run_id, "completed", 7)
    assert request.headers["webhook-id"] == row.webhook_id == callback.owed.webhook_id
    assert datetime.fromisoformat(body["completed_at"]) == run.completed_at
    assert (run.callback_status_code, run.callback_error) == (200, None)
    assert (listed.callback_sent_at, listed.callback_status_code) == (run.callback_sent_at, 200)
    assert (row.status, row.attempts) == ("delivered", 1)
    assert run.completed_at <= run.callback_sent_at <= datetime.now(UTC)
    assert [attempt.delivered for attempt in callback.attempts] == [True]


def test_a_receiver_that_is_not_there_is_shown_as_the_runs_error(store_url):
    async def scenario():
        async with receiving(status(200)) as receiver:
            url = receiver.url
        async with RunLedger.open(store_url, callbacks=SETTINGS) as ledger:
            run_id = await ended(ledger, url)

            async def shown():
                run = await ledger.get_run_by_id(run_id)
                return run if run.callback_sent_at else None

            return await until(shown)

    run = asyncio.run(scenario())
    assert run.callback_status_code is None
    assert "Connection" in run.callback_error or "connect" in run.callback_error


def test_closing_sends_what_is_due_and_the_next_one_nothing_more(store_url):
    async def scenario():
        async with receiving(status(200)) as receiver:
            async with RunLedger.open(store_url, callbacks=SETTINGS) as ledger:
                run_ids = [await ended(ledger, receiver.url) for _ in range(30)]
            told = len(receiver.requests)
            async with RunLedger.open(store_url, callbacks=SETTINGS) as ledger:
                statuses = [(await ledger.get_run_by_id(r)).callback_status_code for r in run_ids]
            return told, len(receiver.requests), statuses

    assert asyncio.run(scenario()) == (30, 30, [200] * 30)


def test_closing_sends_nothing_when_the_lock_is_lost(tmp_path, monkeypatch):
    async def scenario():
        url = f"sqlite:///{tmp_path}/runs.db"
        async with receiving(status(200)) as receiver:
            slow = CallbackSettings(**{**LOCAL, "poll_seconds": 3600})
            async with RunLedger.open(url, callbacks=slow) as ledger:
                asked, leads = [], ledger.store.leads
                monkeypatch.setattr(
                    ledger.store, "leads", lambda name: asked.append(name) or leads(name)
                )
                await until(lambda: asked)  # so it has had its one look at the log
                await ended(ledger, receiver.url)
                monkeypatch.setattr(ledger.store, "leads", lambda name: False)
            lost = receiver.connections
            async with RunLedger.open(url, callbacks=SETTINGS):
                await until(lambda: receiver.requests)
            return lost, len(receiver.requests)

    assert asyncio.run(scenario()) == (0, 1)


def test_a_hanging_receiver_does_not_hold_up_closing_and_is_told_later(tmp_path):
    hangs = [True]

    async def answer(request, writer):
        if hangs:
            await asyncio.sleep(3600)
        await status(200)(request, writer)

    async def scenario():
        url = f"sqlite:///{tmp_path}/runs.db"
        async with receiving(answer) as receiver:
            impatient = CallbackSettings(**LOCAL, closing_seconds=0.2)
            async with RunLedger.open(url, callbacks=impatient) as ledger:
                run_id = await ended(ledger, receiver.url)
                await until(lambda: receiver.requests)
            hangs.clear()
            async with RunLedger.open(url, callbacks=SETTINGS) as ledger:
                return run_id, receiver.requests, await ledger.get_run_by_id(run_id)

    run_id, requests, run = asyncio.run(scenario())
    assert run.callback_sent_at is None or run.callback_status_code == 200
    assert {request.headers["webhook-id"] for request in requests} == {f"{run_id}-2"}


def test_of_two_dispatchers_one_sends_and_the_other_takes_over(store_url):
    async def scenario():
        async with receiving(status(200)) as receiver:
            async with (
                RunLedger.open(store_url, callbacks=SETTINGS) as one,
                RunLedger.open(store_url, callbacks=SETTINGS) as two,
                RunLedger.open(store_url, callbacks=WRITER) as writer,
            ):
                for _ in range(40):
                    await ended(writer, receiver.url)
                await until(lambda: len(receiver.requests) >= 40)
                leads = [ledger.store.leads("callbacks") for ledger in (one, two)]
                first, other = (one, two) if leads[0] else (two, one)
                assert first._dispatcher is not None
                await first._dispatcher.close()
                await until(lambda: other.store.leads("callbacks"))
                for _ in range(20):
                    await ended(writer, receiver.url)
                await until(lambda: len(receiver.requests) >= 60)
            return leads, [request.headers["webhook-id"] for request in receiver.requests]

    leads, ids = asyncio.run(scenario())
    assert sorted(leads) == [False, True]
    assert len(ids) == len(set(ids)) == 60


def test_a_dispatcher_that_lost_its_lease_takes_it_again_and_goes_on(store_url, caplog):
    async def scenario():
        async with (
            receiving(status(200)) as receiver,
            RunLedger.open(store_url, callbacks=SETTINGS) as ledger,
        ):
            await ended(ledger, receiver.url)
            await until(lambda: receiver.requests)
            # As if this process had been stopped for longer than the lease runs.
            ledger.store._leases._ends.clear()
            await until(lambda: "is lost" in caplog.text)
            for _ in range(5):
                await ended(ledger, receiver.url)
            await until(lambda: len(receiver.requests) >= 6)
            return [request.headers["webhook-id"] for request in receiver.requests]

    ids = asyncio.run(scenario())
    assert len(ids) == len(set(ids)) == 6


def test_a_second_end_is_told_with_an_id_of_its_own(store_url):
    async def scenario():
        async with (
            receiving(status(200)) as receiver,
            RunLedger.open(store_url, callbacks=SETTINGS) as ledger,
        ):
            run = await ledger.create_run("agent-a", callback_url=receiver.url)
            await ledger.complete_run(run.run_id, stop_reason="requires_approval")
            await until(lambda: len(receiver.requests) == 1)
            await ledger.cancel_run(run.run_id)
            await until(lambda: len(receiver.requests) == 2)
            return [Webhook(KEY).verify(r.body, r.headers) for r in receiver.requests], [
                request.headers["webhook-id"] for request in receiver.requests
            ]

    bodies, ids = asyncio.run(scenario())
    assert [body["status"] for body in bodies] == ["completed", "cancelled"]
    assert bodies[0]["completed_at"] == bodies[1]["completed_at"]
    assert ids[0] != ids[1]


def test_a_deleted_run_is_not_told(store_url):
    async def scenario():
        async with receiving(status(500)) as receiver:
            quick = CallbackSettings(**LOCAL, calendar=(0, 0.05, 0.05, 3600))
            async with RunLedger.open(store_url, callbacks=WRITER) as ledger:
                unsent = await ended(ledger, receiver.url)
                await ledger.delete_run(unsent)
            async with RunLedger.open(store_url, callbacks=quick) as ledger:
                run_id = await ended(ledger, receiver.url)
                await until(lambda: len(receiver.requests) == 2)
                await ledger.delete_run(run_id)
            count = len(receiver.requests)
            store = await asyncio.to_thread(open_store, store_url)
            outbox = Outbox(store)
            outbox.fold(outbox.read())
            store.close()
            return unsent, receiver.requests[:count], dict(outbox.pending)

    unsent, requests, pending = asyncio.run(scenario())
    assert not any(unsent in request.headers["webhook-id"] for request in requests)
    assert pending == {}


def test_redelivery_is_a_request_in_the_log_that_any_dispatcher_serves(store_url, tmp_path):
    codes = [410, 200, 200]

    async def answer(request, writer):
        await status(codes.pop(0))(request, writer)

    async def scenario():
        async with receiving(answer) as receiver:
            async with RunLedger.open(store_url, callbacks=SETTINGS) as ledger:
                failed = await ended(ledger, receiver.url)
                await until(lambda: len(receiver.requests) == 1)
                delivered = await ended(ledger, receiver.url)
                await until(lambda: len(receiver.requests) == 2)
            # No dispatcher here: the request waits in the log.
            async with RunLedger.open(store_url, tmp_path / "r.duckdb") as operator:
                assert await operator.redeliver_callbacks(statuses=["failed"]) == [failed]
                rows = {r.run_id: r.status for r in await operator.list_callbacks()}
                count = len(receiver.requests)
            async with RunLedger.open(store_url, callbacks=SETTINGS) as ledger:
                await until(lambda: len(receiver.requests) == 3)
                return failed, delivered, count, rows, receiver.requests

    failed, delivered, count, rows, requests = asyncio.run(scenario())
    assert count == 2
    assert rows == {failed: "pending", delivered: "delivered"}
    assert requests[2].headers["webhook-id"] == requests[0].headers["webhook-id"] == f"{failed}-2"


def test_redelivery_of_what_cannot_be_sent_is_refused(tmp_path):
    async def scenario():
        url = f"sqlite:///{tmp_path}/runs.db"
        async with RunLedger.open(url, tmp_path / "r.duckdb") as ledger:
            open_run = await ledger.create_run("agent-a", callback_url="https://example.com/")
            with pytest.raises(IllegalTransition, match=r"run.callback_requested is allowed when"):
                await ledger.redeliver_callback(open_run.run_id)
            uncalled = await ended(ledger, None)
            with pytest.raises(InvalidArgument, match="expected a callback_url, found none"):
                await ledger.redeliver_callback(uncalled)
            called = await ended(ledger, "https://example.com/")
            with pytest.raises(NotFound):
                await ledger.redeliver_callback(called, actor=Actor("org-b"))
            with pytest.raises(InvalidArgument, match="statuses: expected any of"):
                await ledger.list_callbacks(statuses=["lost"])
            with pytest.raises(InvalidArgument, match="limit"):
                await ledger.list_callbacks(limit=0)
            assert await ledger.list_callbacks(actor=Actor("org-b")) == []
            run = await ledger.get_run_by_id(called)
            at = run.completed_at
            inside = await ledger.list_callbacks(since=at)
            outside = await ledger.list_callbacks(until=at)
            return called, [r.run_id for r in inside], outside

    called, inside, outside = asyncio.run(scenario())
    assert (inside, outside) == ([called], [])


def test_what_is_unsafe_is_said_loudly(tmp_path, caplog, monkeypatch):
    async def scenario():
        async with RunLedger.open(f"sqlite:///{tmp_path}/a.db", callbacks=True):
            pass
        writer = CallbackSettings(dispatch=False, allow_private_callbacks=True, allow_http=True)
        async with RunLedger.open(f"sqlite:///{tmp_path}/b.db", callbacks=writer):
            pass

    asyncio.run(scenario())
    said = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert said == [
        "callbacks are sent unsigned: no keys are set",
        "callbacks may reach private addresses (allow_private_callbacks)",
        "callbacks may be sent in the clear (allow_http)",
    ]
