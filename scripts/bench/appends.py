"""Loads on our side: tasks that append, and tasks that work as an agent loop does."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from uuid import uuid4

from runledger import RunLedger
from runledger.store import Store, open_store
from runledger.store.appender import Appender
from runledger.store.protocol import Append, EncodedEvent, Recorded, StreamWrite, Verdict
from scripts.bench.library import STATE, TOPIC

_EVENT = EncodedEvent(TOPIC, STATE, None)


async def _tasks(count: int, seconds: float, work: Callable[[float], Awaitable[int]]) -> float:
    begin = time.perf_counter()
    written = await asyncio.gather(*[work(begin + seconds) for _ in range(count)])
    return sum(written) / (time.perf_counter() - begin)


def append_rate(store: Store, tasks: int, seconds: float, batch: int = 1) -> float:
    """Return events/s of tasks on one appender, each on a stream of its own."""
    appender = Appender(store)
    events = (_EVENT,) * batch

    async def write(until: float) -> int:
        stream, version = f"run-{uuid4()}", 0
        while True:
            verdict = await appender.submit((StreamWrite(stream, version, events),))
            assert isinstance(verdict, Recorded)
            version += batch
            # At the end, so that a machine too busy to begin in time measures one append, not none.
            if time.perf_counter() >= until:
                return version

    try:
        return asyncio.run(_tasks(tasks, seconds, write))
    finally:
        appender.close()


def process_rate(url: str, tasks: int, seconds: float) -> float:
    """Return events/s of a store and an appender of their own; for a process of its own."""
    store = open_store(url, create=False)
    try:
        append_rate(store, tasks, seconds / 5)
        return append_rate(store, tasks, seconds)
    finally:
        store.close()


async def _agent_loop(ledger: RunLedger, until: float) -> int:
    written = 0
    while time.perf_counter() < until:
        run = await ledger.create_run("agent-bench", metadata={"run_type": "chat"})
        for _ in range(8):
            await ledger.record_step(
                run.run_id,
                provider="openai",
                model="gpt-4.1",
                prompt_tokens=812,
                completion_tokens=40,
                prompt_tokens_details={"cached_tokens": 512},
            )
        await ledger.complete_run(run.run_id)
        written += 10
    return written


def command_rate(url: str, tasks: int, seconds: float) -> float:
    """Return events/s of agent loops on a whole ledger: a run, 8 steps, its end, one by one."""

    async def run() -> float:
        async with RunLedger.open(url) as ledger:
            return await _tasks(tasks, seconds, lambda until: _agent_loop(ledger, until))

    return asyncio.run(run())


class Counting:
    """A store that notes how many events every append has."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.sizes: list[int] = []

    @property
    def epoch(self) -> int:
        """How often the log was found to have gone back."""
        return self._store.epoch

    def append(self, appends: Sequence[Append]) -> list[Verdict]:
        """Append, and note how much."""
        self.sizes.append(sum(len(write.events) for append in appends for write in append))
        return self._store.append(appends)
