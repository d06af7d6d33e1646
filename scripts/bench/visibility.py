"""How long after an append begins does a list show the run, while others append too?"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from statistics import median
from typing import Final

from runledger import RunLedger
from scripts.bench.bench import Bench
from scripts.bench.rounds import percentile
from scripts.bench.row import Mark, Row

TICK: Final = 0.01
RUN: Final = 10
"""Events of a run, which is what a tick begins: a thousand a second."""
MANY: Final = 8
"""Who ask at once."""
_CALL: Final = {
    "id": "call-1",
    "function": {"name": "search", "arguments": '{"query": "weather"}'},
}


async def _beats(ledger: RunLedger) -> None:
    """Record the events of a run that only says that it is alive."""
    run = await ledger.create_run("agent-busy")
    for _ in range(RUN - 1):
        await ledger.record_heartbeat(run.run_id)


async def _loop(ledger: RunLedger) -> None:
    """Record the events of a run as an agent loop does: steps, a tool call, its return, the end."""
    run = await ledger.create_run("agent-busy", metadata={"run_type": "chat"})
    said = (
        {"role": "user", "content": "How is the weather?"},
        {"role": "assistant", "tool_calls": [_CALL]},
        {"role": "tool", "tool_returns": [{"tool_call_id": "call-1", "func_response": "fine"}]},
        {"role": "assistant", "content": "It is fine."},
    )
    for message in said:
        await ledger.record_step(
            run.run_id,
            provider="openai",
            model="gpt-4.1",
            prompt_tokens=812,
            completion_tokens=40,
            messages=[message],
        )
    await ledger.complete_run(run.run_id)


LOADS: Final[dict[str, Callable[[RunLedger], Awaitable[None]]]] = {
    "heartbeats": _beats,
    "events of agent loops": _loop,
}


async def _offer(
    ledger: RunLedger, work: Callable[[RunLedger], Awaitable[None]], stop: asyncio.Event
) -> int:
    """Begin a run every 10 ms, whether or not the last ones are done; return events/s."""
    begun: list[asyncio.Future[None]] = []
    started, ticks = time.perf_counter(), 0
    while not stop.is_set():
        begun.append(asyncio.ensure_future(work(ledger)))
        ticks += 1
        await asyncio.sleep(max(0.0, started + ticks * TICK - time.perf_counter()))
    # All of them: a load that was refused is no load.
    await asyncio.gather(*begun)
    return round(RUN * ticks / (time.perf_counter() - started))


async def _look(ledger: RunLedger, agent_id: str, samples: int) -> list[float]:
    took = []
    for _ in range(samples):
        await asyncio.sleep(0.03)
        begin = time.perf_counter()
        run = await ledger.create_run(agent_id)
        (seen,) = await ledger.list_runs(agent_id=agent_id, limit=1)
        took.append(1000 * (time.perf_counter() - begin))
        assert seen.run_id == run.run_id
    return took


async def _measure(
    url: str,
    read_models: str,
    work: Callable[[RunLedger], Awaitable[None]],
    samples: int,
    lookers: int = 1,
) -> tuple[list[float], int]:
    async with RunLedger.open(url, read_models) as ledger:
        stop = asyncio.Event()
        load = asyncio.create_task(_offer(ledger, work, stop))
        looking = [_look(ledger, f"agent-{n}", samples // lookers) for n in range(lookers)]
        took = await asyncio.gather(*looking)
        stop.set()
        return [ms for each in took for ms in each], await load


def rows(bench: Bench) -> Iterator[Row]:
    """Yield the time from create_run to the answer that lists the run."""
    samples = 5 * bench.size.samples
    for load, work in LOADS.items():
        read_models = str(bench.path(".duckdb"))
        took, rate = asyncio.run(_measure(bench.schema(), read_models, work, samples))
        figure = f"create_run → listed, {rate:,} {load}/s beside it"
        yield Row(f"{figure}, p50", median(took), "ms")
        yield Row(f"{figure}, p99", percentile(took, 99), "ms", mark=Mark("≤", 100, "ours"))
    took, rate = asyncio.run(
        _measure(bench.schema(), str(bench.path(".duckdb")), _loop, max(samples, MANY), MANY)
    )
    figure = f"the same, for {MANY} that ask at once, {rate:,} events of agent loops/s beside them"
    yield Row(f"{figure}, p50", median(took), "ms")
    yield Row(f"{figure}, p99", percentile(took, 99), "ms")
