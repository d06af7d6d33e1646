"""How long does one command of one task take until it is durable?"""

import asyncio
import time
from collections.abc import Awaitable, Iterator
from statistics import median
from typing import Final

from runledger import RunLedger
from scripts.bench.bench import Bench
from scripts.bench.machine import fdatasync_seconds
from scripts.bench.rounds import percentile
from scripts.bench.row import Figure, Mark, Row

REPLACED: Final = {"create_run": 29.0, "record_step": 4.4, "complete_run": 62.0}
"""p50 in ms of the system that the ledger replaces, measured elsewhere."""

MARKS: Final = {"create_run": 2.0, "record_step": 1.5, "complete_run": 2.0}


async def _measure(url: str, runs: int) -> dict[str, list[float]]:
    took: dict[str, list[float]] = {name: [] for name in REPLACED}

    async def timed(name: str, command: Awaitable[object]) -> None:
        begin = time.perf_counter()
        await command
        took[name].append(1000 * (time.perf_counter() - begin))

    async with RunLedger.open(url) as ledger:
        for number in range(runs):
            run = await ledger.create_run(f"agent-{number % 5}")
            begin = time.perf_counter()
            run = await ledger.create_run(f"agent-{number % 5}", metadata={"run_type": "chat"})
            took["create_run"].append(1000 * (time.perf_counter() - begin))
            for _ in range(3):
                await timed(
                    "record_step",
                    ledger.record_step(
                        run.run_id,
                        provider="openai",
                        model="gpt-4.1",
                        prompt_tokens=812,
                        completion_tokens=40,
                        messages=[{"role": "assistant", "content": "x" * 300}],
                    ),
                )
            await timed("complete_run", ledger.complete_run(run.run_id))
    return took


def rows(bench: Bench) -> Iterator[Row]:
    """Yield p50 and p99 of every command, beside what the disk alone takes."""
    took = asyncio.run(_measure(bench.schema(), 5 * bench.size.samples))
    disk = Figure("one flush of 8 KiB", 1000 * fdatasync_seconds(bench.directory))
    for name, times in took.items():
        peer = Figure("the replaced system", REPLACED[name])
        mark = Mark("≤", MARKS[name], "ours")
        yield Row(f"{name}, PostgreSQL, p50", median(times), "ms", peer, disk, None, mark)
        yield Row(f"{name}, PostgreSQL, p99", percentile(times, 99), "ms")
