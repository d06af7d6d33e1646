"""How soon has a follower an event, what do a thousand cost, and how soon are they let go?"""

import asyncio
import mmap
import signal
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Final

import psutil

from runledger.ids import new_id
from runledger.remote import RemoteLedger
from scripts.bench.bench import Bench
from scripts.bench.http_client import HttpClient
from scripts.bench.rounds import percentile
from scripts.bench.row import Figure, Mark, Row
from scripts.serving_process import ServingProcess

_FOLLOW: Final = "/api/v1/log/follow"
_TICK: Final = 0.01
_EACH: Final = 10
"""Events that a tick begins: a thousand a second."""
_RUNS: Final = 200
"""Each has five a second, as agent loops are no quicker."""


def rows(bench: Bench) -> Iterator[Row]:
    """Yield the time from an append to its event, memory of followers, time to stop."""
    with ServingProcess(bench.schema(), bench.path(".duckdb"), 0, "--writer") as server:
        took, answered, rate = asyncio.run(_latencies(server, 2 * bench.size.seconds))
        figure = f"append → server-sent event, {rate:,.0f} events/s"
        for share, mark in ((50, None), (99, Mark("≤", 50, "ours"))):
            peer = Figure("the answer to the append", percentile(answered, share))
            ours = percentile(took, share)
            yield Row(f"{figure}, p{share}", ours, "ms", peer, mark=mark)
    with ServingProcess(bench.schema(), bench.path(".duckdb")) as server:
        memory, seconds = asyncio.run(_followers(server, bench.size.followers))
    figure = f"{bench.size.followers:,} followers of the log"
    yield Row(f"{figure}: memory", memory, "MiB", mark=Mark("≤", 50, "ours"))
    each = 1024 * memory / bench.size.followers
    yield Row(f"{figure}: memory of each", each, "KiB")
    yield Row(f"{figure}: SIGTERM → end", seconds, "s", mark=Mark("≤", 15, "ours"))


async def _latencies(
    server: ServingProcess, seconds: float
) -> tuple[list[float], list[float], float]:
    """Return the ms from the beginning of appends to their blocks, to their answers; events/s."""
    begun: dict[str, float] = {}
    took: list[float] = []
    answered: list[float] = []

    async def follow(reader: asyncio.StreamReader) -> None:
        async for line in reader:
            if line.startswith(b"data: ") and (at := line.find(b'"step_id":"')) >= 0:
                step_id = line[at + 11 : line.index(b'"', at + 11)].decode("ascii")
                took.append(1000 * (time.perf_counter() - begun[step_id]))

    async def step(ledger: RemoteLedger, run_id: str) -> None:
        step_id = new_id("step")
        begun[step_id] = time.perf_counter()
        await ledger.record_step(run_id, step_id=step_id, provider="openai", prompt_tokens=812)
        answered.append(1000 * (time.perf_counter() - begun[step_id]))

    async with HttpClient(server.port) as client, RemoteLedger(server.url) as ledger:
        runs = [(await ledger.create_run("agent-busy")).run_id for _ in range(_RUNS)]
        following = asyncio.create_task(follow(await client.follow(_FOLLOW)))
        start, ticks = time.perf_counter(), 0
        sent = []
        while ticks < 1 or time.perf_counter() - start < seconds:
            some = (runs[(ticks * _EACH + number) % _RUNS] for number in range(_EACH))
            sent += [asyncio.create_task(step(ledger, run_id)) for run_id in some]
            ticks += 1
            await asyncio.sleep(max(0.0, start + ticks * _TICK - time.perf_counter()))
        await asyncio.gather(*sent)
        rate = len(sent) / (time.perf_counter() - start)
        while len(took) < len(sent):
            await asyncio.sleep(_TICK)
        following.cancel()
    return took, answered, rate


async def _followers(server: ServingProcess, count: int) -> tuple[float, float]:
    """Return the MiB that the followers cost, and the seconds from SIGTERM to the end."""
    process = psutil.Process(server.process.pid)
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(HttpClient(server.port))
        await first.follow(_FOLLOW)
        before = process.memory_info().rss
        for _ in range(count - 1):
            client = await stack.enter_async_context(HttpClient(server.port))
            await client.follow(_FOLLOW)
        # A few followers may fit into pages that the process has anyway.
        memory = max(process.memory_info().rss - before, mmap.PAGESIZE) / 2**20
        begin = time.perf_counter()
        server.process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(server.process.wait, 120)
        return memory, time.perf_counter() - begin
