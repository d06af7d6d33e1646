"""How long after an append begins does a list show the run, while others append too?"""

import asyncio
import time
from collections.abc import Iterator
from statistics import median
from typing import Final

from runledger import RunLedger
from scripts.bench.bench import Bench
from scripts.bench.rounds import percentile
from scripts.bench.row import Mark, Row

OFFERED: Final = 1_000
TICK: Final = 0.01


async def _offer(ledger: RunLedger, stop: asyncio.Event) -> int:
    """Begin 10 commands every 10 ms, whether or not the last ones are done."""
    runs = [(await ledger.create_run(f"agent-{n}")).run_id for n in range(64)]
    begun: set[asyncio.Task[None]] = set()
    started, ticks, offered = time.perf_counter(), 0, 0
    while not stop.is_set():
        for _ in range(int(OFFERED * TICK)):
            task = asyncio.create_task(ledger.record_heartbeat(runs[offered % len(runs)]))
            begun.add(task)
            task.add_done_callback(begun.discard)
            offered += 1
        ticks += 1
        await asyncio.sleep(max(0.0, started + ticks * TICK - time.perf_counter()))
    await asyncio.gather(*begun)
    return round(offered / (time.perf_counter() - started))


async def _measure(url: str, read_models: str, samples: int) -> tuple[list[float], int]:
    took = []
    async with RunLedger.open(url, read_models) as ledger:
        stop = asyncio.Event()
        load = asyncio.create_task(_offer(ledger, stop))
        for _ in range(samples):
            await asyncio.sleep(0.03)
            begin = time.perf_counter()
            run = await ledger.create_run("agent-seen")
            (seen,) = await ledger.list_runs(agent_id="agent-seen", limit=1)
            took.append(1000 * (time.perf_counter() - begin))
            assert seen.run_id == run.run_id
        stop.set()
        return took, await load


def rows(bench: Bench) -> Iterator[Row]:
    """Yield the time from create_run to the answer that lists the run."""
    samples = 5 * bench.size.samples
    took, rate = asyncio.run(_measure(bench.schema(), str(bench.path(".duckdb")), samples))
    figure = f"create_run → listed, {rate:,} events/s beside it"
    yield Row(f"{figure}, p50", median(took), "ms")
    yield Row(f"{figure}, p99", percentile(took, 99), "ms", mark=Mark("≤", 100, "ours"))
