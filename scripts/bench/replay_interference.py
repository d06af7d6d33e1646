"""What do writers and readers notice of a replay in another process?"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from runledger import RunLedger
from runledger.run import Actor
from scripts.bench.bench import Bench, project
from scripts.bench.rounds import percentile
from scripts.bench.row import Figure, Row


async def _timed(asked: Awaitable[object]) -> float:
    begin = time.perf_counter()
    await asked
    return 1000 * (time.perf_counter() - begin)


async def _work(
    ledger: RunLedger, going_on: Callable[[int], bool]
) -> tuple[list[float], list[float]]:
    """Return the ms of steps and of lists, one after the other, while it goes on."""
    run = await ledger.create_run("agent-3")
    steps: list[float] = []
    lists: list[float] = []
    while going_on(len(steps)):
        steps.append(await _timed(ledger.record_step(run.run_id, prompt_tokens=812)))
        lists.append(await _timed(ledger.list_runs(agent_id="agent-3")))
    return steps, lists


async def _measure(
    url: str, path: Path, other: Path, events: int, samples: int
) -> tuple[list[list[float]], int]:
    actor = Actor("org-1")
    async with RunLedger.open(url, path, actor=actor) as ledger:
        await ledger.project()
        alone = await _work(ledger, lambda done: done < samples)
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as processes:
            replay = processes.submit(project, url, other, events)
            beside = await _work(ledger, lambda done: done < samples or not replay.done())
            replay.result()
    return [*alone, *beside], len(beside[0])


def rows(bench: Bench) -> Iterator[Row]:
    """Yield p95 of a step and of a list while a replay runs, beside those without one."""
    size = bench.size
    path = bench.read_models(size.events)
    url = bench.log("postgresql")
    (steps, lists, busy_steps, busy_lists), done = asyncio.run(
        _measure(url, path, bench.path(".duckdb"), size.events, size.samples)
    )
    for name, alone, busy in (
        ("record_step", steps, busy_steps),
        ("list_runs", lists, busy_lists),
    ):
        peer = Figure("without a replay", percentile(alone, 95))
        figure = f"{name} while a replay runs, p95"
        yield Row(figure, percentile(busy, 95), "ms", peer, note=f"{done} samples")
