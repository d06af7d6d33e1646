"""kill -9 at random moments: nothing is forgotten, nothing is sent after a recorded success."""

import asyncio
import json
import random
import struct
from socket import SO_LINGER, SOL_SOCKET

import psutil
import pytest
from standardwebhooks import Webhook

from runledger import RunLedger
from runledger.callbacks import CallbackSettings
from runledger.events import CallbackAttempted
from tests.callbacks.conftest import KEY, LOCAL, dispatching, receiving, status, until

pytestmark = pytest.mark.slow

RUNS, KILLS = 200, 6
SETTINGS = {
    **LOCAL,
    "calendar": [0, 0.1, 0.2, 0.3, *[0.5] * 60],
    "timeout_seconds": 0.3,
    "breaker_failures": 1000,
    "max_payload_bytes": 4_000,
}


def moody(good_after: int, mood):
    """Answer in a mood for each webhook-id's first requests, then well."""
    seen: dict[str, int] = {}

    async def answer(request, writer):
        seen[request.headers["webhook-id"]] = count = seen.get(request.headers["webhook-id"], 0) + 1
        await (mood if count <= good_after else status(200))(request, writer)

    return answer


async def hangs(_request, _writer):
    await asyncio.sleep(3600)


async def closes(_request, writer):
    writer.close()


async def resets_after_200(_request, writer):
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nbeg")
    await writer.drain()
    linger = struct.pack("ii", 1, 0)  # the close becomes a reset
    writer.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, linger)
    writer.transport.abort()


async def answers_too_late(request, writer):
    await asyncio.sleep(0.5)
    await status(200)(request, writer)


MOODS = {
    "fails": moody(2, status(500)),
    "hangs": moody(1, hangs),
    "closes": moody(2, closes),
    "resets after 200": resets_after_200,
    "answers too late": moody(1, answers_too_late),
}


async def killed_at_random(url, receivers, rng):
    """Run two dispatchers, and kill the one that sends, some requests and a moment after the last.

    The other one has taken over each time, and a fresh one waits. Return those that are left.
    """

    def count():
        return sum(len(it.requests) for it in receivers)

    alive = [await dispatching(url, SETTINGS), await dispatching(url, SETTINGS)]
    await until(count)
    for _ in range(KILLS):
        enough = count() + rng.randrange(1, 20)
        await until(lambda enough=enough: count() >= enough)
        await asyncio.sleep(rng.uniform(0, 0.05))
        victim = alive.pop(0)
        victim.kill()
        await victim.wait()
        alive.append(await dispatching(url, SETTINGS))
    return alive


@pytest.mark.parametrize("seed", [7])
def test_killed_dispatchers_forget_nothing_and_send_nothing_after_a_success(store_url, seed):
    async def scenario():
        async with (
            receiving(MOODS["fails"]) as a,
            receiving(MOODS["hangs"]) as b,
            receiving(MOODS["closes"]) as c,
            receiving(MOODS["resets after 200"]) as d,
            receiving(MOODS["answers too late"]) as e,
        ):
            receivers = [a, b, c, d, e]
            writer = CallbackSettings(**LOCAL, dispatch=False)
            async with RunLedger.open(store_url, callbacks=writer) as ledger:
                run_ids = []

                async def write():
                    for number in range(RUNS):
                        run = await ledger.create_run(
                            "agent-a", callback_url=receivers[number % 5].url
                        )
                        await ledger.complete_run(run.run_id)
                        run_ids.append(run.run_id)
                        await asyncio.sleep(0.02)

                writing = asyncio.create_task(write())
                alive = await killed_at_random(store_url, receivers, random.Random(seed))
                await writing
                try:

                    async def all_settled():
                        found = [await ledger.get_callback(run_id) for run_id in run_ids]
                        return found if all(it.owed.settled for it in found) else None

                    found = await until(all_settled, seconds=600)
                finally:
                    for process in alive:
                        psutil.Process(process.pid).terminate()
                        await process.wait()
                requests = [request for it in receivers for request in it.requests]
                stored = {run_id: ledger.store.read_stream(run_id) for run_id in run_ids}
                return found, requests, stored, [process.returncode for process in alive]

    found, requests, stored, codes = asyncio.run(scenario())
    assert codes == [0, 0]
    assert len(found) == RUNS
    assert all(it.owed.delivered for it in found)
    by_run: dict[str, list] = {it.run_id: [] for it in found}
    for request in requests:
        Webhook(KEY).verify(request.body, request.headers)
        by_run[json.loads(request.body)["run_id"]].append(request)
    for it in found:
        assert by_run[it.run_id], "a run was forgotten"
        ids = {request.headers["webhook-id"] for request in by_run[it.run_id]}
        assert ids == {it.owed.webhook_id}
        successes = [
            row.event
            for row in stored[it.run_id]
            if isinstance(row.event, CallbackAttempted) and row.event.delivered
        ]
        assert len(successes) == 1
        recorded = successes[0].recorded_at.timestamp()
        assert max(request.at for request in by_run[it.run_id]) <= recorded
    assert len(requests) > RUNS
