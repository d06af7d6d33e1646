"""Many ended runs, one dead receiver: the others are served, and memory stays flat."""

import asyncio
import socket
from contextlib import ExitStack

import psutil
import pytest

from runledger import RunLedger
from runledger.callbacks import CallbackSettings
from tests.callbacks.conftest import LOCAL, Post, dispatching, receiving, status, until

pytestmark = pytest.mark.slow

MEBIBYTE = 2**20


async def write(ledger, receivers, count):
    async def one(number):
        run = await ledger.create_run(
            "agent-a", callback_url=receivers[number % len(receivers)].url, metadata={"n": number}
        )
        await ledger.complete_run(run.run_id)

    for begin in range(0, count, 100):
        await asyncio.gather(*(one(begin + n) for n in range(100)))


def test_one_dead_receiver_of_five_delays_no_other_and_memory_stays_flat(tmp_path):
    async def hang(_request, _writer):
        await asyncio.sleep(3600)

    async def scenario():
        url = f"sqlite:///{tmp_path}/runs.db"
        # The receiver hangs for as long as a dispatcher waits: much longer than this test.
        settings = {**LOCAL, "timeout_seconds": 120, "max_in_flight": 32, "closing_seconds": 0.2}
        async with (
            receiving(status(200)) as a,
            receiving(status(200)) as b,
            receiving(hang) as dead,
            receiving(status(200)) as c,
            receiving(status(200)) as d,
        ):
            alive = [a, b, c, d]
            writer = CallbackSettings(**LOCAL, dispatch=False)
            async with RunLedger.open(url, callbacks=writer) as ledger:
                await write(ledger, [a, b, dead, c, d], 1000)
            process = await dispatching(url, settings)
            try:
                await until(lambda: sum(len(it.requests) for it in alive) >= 400, 300)
                memory = psutil.Process(process.pid).memory_info().rss
                await until(lambda: all(len(it.requests) == 200 for it in alive), 300)
                grown = psutil.Process(process.pid).memory_info().rss - memory
            finally:
                process.terminate()
                await process.wait()
            times = [request.at for it in alive for request in it.requests]
            return len(dead.requests), max(times) - min(times), grown, process.returncode

    held, seconds, grown, code = asyncio.run(scenario())
    print(f"800 callbacks in {seconds:.1f} s, {grown / MEBIBYTE:.1f} MiB more, {held} held")
    assert held == 2  # what a receiver may have at a time before it ever answered
    assert grown < 16 * MEBIBYTE
    assert code == 0


def test_hosts_that_accept_and_never_answer_hold_no_other_up(tmp_path):
    """More of them than there are places, and a deadline much longer than this test."""
    settings = CallbackSettings(
        **LOCAL,
        timeout_seconds=120,
        max_in_flight=8,
        slow_after_seconds=0.05,
        max_slow=16,
        closing_seconds=0.1,
    )

    async def scenario():
        url = f"sqlite:///{tmp_path}/runs.db"
        with ExitStack() as stack:
            dead = []
            for _ in range(60):
                listening = stack.enter_context(socket.socket())
                listening.bind(("127.0.0.1", 0))
                listening.listen()  # the kernel accepts; nothing ever answers
                dead.append(f"http://127.0.0.1:{listening.getsockname()[1]}/")
            async with (
                receiving(status(200)) as healthy,
                RunLedger.open(url, callbacks=settings) as ledger,
            ):
                for address in dead:
                    run = await ledger.create_run("agent-a", callback_url=address)
                    await ledger.complete_run(run.run_id)
                for number in range(5):
                    run = await ledger.create_run("agent-a", callback_url=healthy.url)
                    await ledger.complete_run(run.run_id)
                    await until(lambda number=number: len(healthy.requests) > number)

    asyncio.run(scenario())


def test_what_is_done_is_forgotten(local_store, clock):
    async def scenario():
        async with receiving(status(200)) as receiver, Post(local_store, clock) as post:
            for _ in range(3):
                for _ in range(20):
                    await post.ended(receiver.url)
                    await post.ended(None)
                await post.deliver()
            await post.courier.save()
            await post.deliver()
            return (
                len(post.outbox.pending),
                len(post.courier._receivers),
                post.store.checkpoint("callbacks"),
                post.store.head(),
            )

    pending, receivers, checkpoint, head = asyncio.run(scenario())
    assert (pending, receivers) == (0, 0)
    assert checkpoint == head
