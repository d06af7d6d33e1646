"""How much longer does a list take over HTTP than by the Python API?"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

from runledger import RunLedger
from runledger.remote import RemoteLedger
from scripts.bench.bench import Bench
from scripts.bench.http_client import HttpClient
from scripts.bench.rounds import percentile
from scripts.bench.row import Figure, Mark, Row
from scripts.serving_process import ServingProcess

_LIMIT: Final = 50


async def _measure(
    ask: dict[str, Callable[[], Awaitable[object]]], rounds: int
) -> dict[str, list[float]]:
    took: dict[str, list[float]] = {name: [] for name in ask}
    for _ in range(3):
        for question in ask.values():
            await question()
    for _ in range(rounds):
        for name, question in ask.items():
            begin = time.perf_counter()
            await question()
            took[name].append(1000 * (time.perf_counter() - begin))
    return took


def rows(bench: Bench) -> Iterator[Row]:
    """Yield the difference of a page of runs at p95: both are asked in turns."""
    url, events = bench.log("postgresql"), bench.size.events

    async def measure(server: ServingProcess) -> dict[str, list[float]]:
        local = RunLedger.open(url, str(bench.read_models(events)))
        async with (
            local as here,
            RemoteLedger(server.url) as there,
            HttpClient(server.port) as http,
        ):
            ask: dict[str, Callable[[], Awaitable[object]]] = {
                "here": lambda: here.list_runs(limit=_LIMIT),
                "there": lambda: there.list_runs(limit=_LIMIT),
                "page": lambda: http.get(f"/api/v1/runs?limit={_LIMIT}"),
            }
            return await _measure(ask, 5 * bench.size.samples)

    with ServingProcess(url, bench.read_models(events)) as server:
        took = asyncio.run(measure(server))
    here = percentile(took["here"], 95)
    peer = Figure("Python API", here)
    for name, figure in (
        ("there", f"list_runs of a remote ledger, {_LIMIT} runs, p95"),
        ("page", f"GET /api/v1/runs, {_LIMIT} runs, p95"),
    ):
        theirs = percentile(took[name], 95)
        yield Row(figure, theirs, "ms", peer)
        # Rounds are not longer than the questions: noise may make the difference negative.
        more = max(theirs - here, 0.001)
        yield Row(f"{figure}: beyond the Python API", more, "ms", mark=Mark("≤", 3, "ours"))
