"""Loads a server at half of what it takes, and shows whether memory, files or threads grow.

`python -m scripts.soak --minutes 10`; exit code 1 if file handles or threads are left at the end.
"""

import argparse
import asyncio
import sys
import time
from contextlib import suppress
from pathlib import Path
from statistics import linear_regression, median
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

import psutil

from runledger.remote import RemoteLedger
from scripts.bench.http_client import HttpClient
from scripts.serving_process import ServingProcess

_TASKS: Final = 16
_STEPS: Final = 8
_FULL_SECONDS: Final = 5.0
_SAMPLE_SECONDS: Final = 2.0
_IDLE_SECONDS: Final = 10.0
"""Longer than the server keeps a connection that nothing uses."""


class Sample(NamedTuple):
    """The server at one moment; `at` is in minutes since the load began."""

    at: float
    memory_mib: float
    handles: int
    threads: int


def sample(process: psutil.Process, begun: float) -> Sample:
    """Look at the server."""
    with process.oneshot():
        return Sample(
            (time.monotonic() - begun) / 60,
            process.memory_info().rss / 2**20,
            process.num_fds(),
            process.num_threads(),
        )


async def a_run(ledger: RemoteLedger) -> int:
    """Report a run as an agent loop does; return its events."""
    run = await ledger.create_run("agent-soak", metadata={"run_type": "chat"})
    for _ in range(_STEPS):
        message = {"role": "assistant", "content": "x" * 300}
        await ledger.record_step(
            run.run_id, provider="openai", model="m", prompt_tokens=812, messages=[message]
        )
    await ledger.complete_run(run.run_id)
    return _STEPS + 2


async def full_rate(ledger: RemoteLedger) -> float:
    """Return the events/s of tasks that wait for nothing but answers."""
    begun = time.monotonic()

    async def work() -> int:
        events = 0
        while time.monotonic() - begun < _FULL_SECONDS:
            events += await a_run(ledger)
        return events

    return sum(await asyncio.gather(*(work() for _ in range(_TASKS)))) / _FULL_SECONDS


async def offer(ledger: RemoteLedger, rate: float) -> None:
    """Begin runs at a rate of events/s, without end."""
    begun, count = time.monotonic(), 0
    async with asyncio.TaskGroup() as tasks:
        while True:
            tasks.create_task(a_run(ledger))
            count += 1
            pause = begun + count * (_STEPS + 2) / rate - time.monotonic()
            await asyncio.sleep(max(0.0, pause))


async def look_on(server: ServingProcess, ledger: RemoteLedger) -> None:
    """List runs, and follow the log for a while over a new connection, without end."""
    while True:
        await ledger.list_runs(limit=50)
        await ledger.usage_totals()
        async with HttpClient(server.port) as client:
            reader = await client.follow("/api/v1/log/follow")
            with suppress(TimeoutError):
                async with asyncio.timeout(1):
                    while await reader.readline():
                        pass


async def soak(server: ServingProcess, seconds: float) -> tuple[float, list[Sample]]:
    """Return the rate that was offered, and samples: before the load, during it, behind it."""
    process = psutil.Process(server.process.pid)
    async with RemoteLedger(server.url) as ledger:
        rate = await full_rate(ledger) / 2
        await ledger.list_runs()
    await asyncio.sleep(_IDLE_SECONDS)
    begun = time.monotonic()
    samples = [sample(process, begun)]
    async with RemoteLedger(server.url) as ledger:
        load = [
            asyncio.create_task(offer(ledger, rate)),
            asyncio.create_task(look_on(server, ledger)),
        ]
        while time.monotonic() - begun < seconds:
            done, _ = await asyncio.wait(load, timeout=_SAMPLE_SECONDS)
            for ended in done:
                # Neither ends by itself: an error is the reason.
                ended.result()
            samples.append(sample(process, begun))
        for task in load:
            task.cancel()
        await asyncio.wait(load)
    await asyncio.sleep(_IDLE_SECONDS)
    return rate, [*samples, sample(process, begun)]


def report(rate: float, samples: list[Sample]) -> bool:
    """Print what was found; return whether nothing is left."""
    before, *during, after = samples
    late = during[len(during) // 2 :]
    slope = linear_regression([one.at for one in late], [one.memory_mib for one in late]).slope
    print(f"{during[-1].at:.1f} minutes at {rate:,.0f} events/s")
    tenth = max(1, len(during) // 10)
    for one in [before, *during[::tenth], after]:
        print(
            f"{one.at:6.1f} min  {one.memory_mib:7.1f} MiB  {one.handles:4} file handles  "
            f"{one.threads:3} threads"
        )
    print(
        f"memory in the second half: {median(one.memory_mib for one in late):.1f} MiB, "
        f"{slope:+.2f} MiB/minute"
    )
    left = (after.handles - before.handles, after.threads - before.threads)
    print(f"left at the end: {left[0]:+} file handles, {left[1]:+} threads")
    return max(left) <= 0


def main() -> int:
    """Run it; return the exit code."""
    given = argparse.ArgumentParser(prog="soak", description=__doc__)
    given.add_argument("--minutes", type=float, default=10.0)
    asked = given.parse_args()
    with TemporaryDirectory(prefix="runledger-soak-") as folder:
        store, read_models = f"sqlite:///{folder}/runs.db", Path(folder) / "runs.duckdb"
        with ServingProcess(store, read_models) as server:
            clean = report(*asyncio.run(soak(server, 60 * asked.minutes)))
    return int(not clean)


if __name__ == "__main__":
    sys.exit(main())
