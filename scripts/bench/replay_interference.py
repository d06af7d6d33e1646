"""How much do writers and readers notice while `runledger replay` builds other read models?"""

import asyncio
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

from runledger import RunLedger
from runledger.run import Actor
from scripts.bench.bench import Bench
from scripts.bench.rounds import percentile
from scripts.bench.row import Figure, Mark, Row

STORES = {"postgresql": "PostgreSQL", "sqlite": "SQLite"}


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
    url: str, path: Path, other: Path, samples: int
) -> tuple[list[list[float]], int, float]:
    command = Path(sys.executable).with_name("runledger")
    async with RunLedger.open(url, path, actor=Actor("org-1")) as ledger:
        await ledger.project()
        alone = await _work(ledger, lambda done: done < samples)
        begin = time.perf_counter()
        with subprocess.Popen(
            [command, "--store", url, "--read-models", other, "replay", "--json"],
            stdout=subprocess.DEVNULL,
        ) as replay:
            beside = await _work(ledger, lambda done: done < 3 or replay.poll() is None)
        if replay.returncode:
            raise RuntimeError(f"runledger replay ended with {replay.returncode}")
        return [*alone, *beside], len(beside[0]), time.perf_counter() - begin


def rows(bench: Bench) -> Iterator[Row]:
    """Yield p99 of a step and of a list during a replay, beside those without one."""
    size = bench.size
    for kind, store in STORES.items():
        path = bench.read_models(size.events, kind)
        measured = _measure(bench.log(kind), path, bench.path(".duckdb"), size.samples)
        (steps, lists, busy_steps, busy_lists), done, seconds = asyncio.run(measured)
        for name, alone, busy in (
            ("record_step", steps, busy_steps),
            ("list_runs", lists, busy_lists),
        ):
            peer = Figure("without a replay", percentile(alone, 99))
            figure = f"{store}, {name} during a replay of {size.events:,} events, p99"
            note = f"{done} samples in {seconds:.1f} s, p50 {percentile(busy, 50):.1f} ms"
            mark = Mark("≤", 100, "ours")
            yield Row(figure, percentile(busy, 99), "ms", peer, None, None, mark, note)
