"""Does a step cost more on a run that has had many?"""

import asyncio
import time
from collections.abc import Iterator
from statistics import median
from typing import Any, Final

from runledger import RunLedger
from runledger.command_handling.batch import CommandBatch
from runledger.ids import new_id
from runledger.run import Actor
from runledger.run.commands import CreateRun, RecordStep
from scripts.bench.bench import Bench
from scripts.bench.row import Figure, Mark, Row

FACTS: Final[dict[str, Any]] = {
    "provider_name": "openai",
    "model": "gpt-4.1",
    "prompt_tokens": 812,
    "completion_tokens": 40,
}


async def _run(ledger: RunLedger, steps: int) -> str:
    """Record a run of so many steps, 1,000 an append; return its id."""
    run_id = new_id("run")
    await ledger.handler.execute(
        CommandBatch(Actor(), run_id, [CreateRun("agent-bench")]), fresh=True
    )
    for done in range(0, steps, 1_000):
        commands = [RecordStep(new_id("step"), FACTS) for _ in range(min(1_000, steps - done))]
        await ledger.handler.execute(CommandBatch(Actor(), run_id, commands))
    return run_id


async def _step(ledger: RunLedger, run_id: str) -> float:
    begin = time.perf_counter()
    await ledger.record_step(run_id, **FACTS)
    return 1000 * (time.perf_counter() - begin)


async def _measure(url: str, steps: int, samples: int) -> tuple[list[float], list[float], float]:
    async with RunLedger.open(url) as ledger:
        long = await _run(ledger, steps)
        long_times, short_times = [], []
        for _ in range(samples):
            short = await _run(ledger, 10)
            for _ in range(5):
                short_times.append(await _step(ledger, short))
                long_times.append(await _step(ledger, long))
    async with RunLedger.open(url) as ledger:
        cold = await _step(ledger, long)
    return long_times, short_times, cold


def rows(bench: Bench) -> Iterator[Row]:
    """Yield the step on a long run beside that on a short one, and the first one of a process."""
    steps = bench.size.steps
    long, short, cold = asyncio.run(_measure(bench.schema(), steps, bench.size.samples))
    ratio = median(a / b for a, b in zip(long, short, strict=True))
    peer = Figure("a run with 10 to 15 steps", median(short))
    figure = f"record_step on a run with {steps:,} steps, p50"
    yield Row(figure, median(long), "ms", peer, None, ratio, Mark("≤", 1.2))
    yield Row("the same, first command of a process", cold, "ms", peer)
