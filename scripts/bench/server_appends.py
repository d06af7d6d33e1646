"""How long does an append take over HTTP, beside the Python API and pgbench, at 64 clients?"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

from runledger import RunLedger
from runledger.ids import new_id
from runledger.remote import RemoteLedger
from scripts.bench import pgbench
from scripts.bench.bench import Bench
from scripts.bench.http_client import HttpClient
from scripts.bench.rounds import alternate, percentile
from scripts.bench.row import Figure, Mark, Row
from scripts.serving_process import ServingProcess

CLIENTS: Final = 64
_FACTS: Final[dict[str, Any]] = {
    "model": "gpt-4.1",
    "prompt_tokens": 812,
    "completion_tokens": 40,
    "prompt_tokens_details": {"cached_tokens": 512},
}
Append = Callable[[], Awaitable[object]]


async def _timed(append: Append, until: float) -> list[float]:
    took = []
    while True:
        begin = time.perf_counter()
        await append()
        end = time.perf_counter()
        took.append(1000 * (end - begin))
        if end >= until:
            return took


async def _all(appends: list[Append], seconds: float) -> list[float]:
    # The first append of each is not measured: connections are made, and streams loaded.
    await asyncio.gather(*(append() for append in appends))
    until = time.perf_counter() + seconds
    took = await asyncio.gather(*(_timed(append, until) for append in appends))
    return [ms for one in took for ms in one]


async def _by_ledger(ledger: RunLedger | RemoteLedger, seconds: float) -> list[float]:
    """Measure tasks of one process, each with a run of its own."""

    async def one() -> Append:
        run = await ledger.create_run("agent-bench")
        return lambda: ledger.record_step(run.run_id, provider="openai", **_FACTS)

    return await _all([await one() for _ in range(CLIENTS)], seconds)


async def _by_requests(port: int, seconds: float) -> list[float]:
    """Measure clients that each send a request for a step, over connections of their own."""
    clients = [await HttpClient(port).__aenter__() for _ in range(CLIENTS)]

    async def one(client: HttpClient) -> Append:
        run_id = new_id("run")
        await client.post("/api/v1/runs", {"run_id": run_id, "agent_id": "agent-bench"})
        body = {"provider": "openai", "facts": _FACTS}
        return lambda: client.post(f"/api/v1/runs/{run_id}/steps", body)

    try:
        return await _all([await one(client) for client in clients], seconds)
    finally:
        for client in clients:
            await client.__aexit__(None, None, None)


def rows(bench: Bench) -> Iterator[Row]:
    """Yield the time of a step at p99, and the rate that comes of it."""
    url, seconds, script = bench.schema(), bench.size.seconds, bench.path(".sql")
    rates: dict[str, list[float]] = {}

    def side(name: str, measure: Callable[[], list[float]]) -> Callable[[], float]:
        def measured() -> float:
            took = measure()
            rates.setdefault(name, []).append(1000 * CLIENTS * len(took) / sum(took))
            return percentile(took, 99)

        return measured

    async def embedded() -> list[float]:
        async with RunLedger.open(url) as ledger:
            return await _by_ledger(ledger, seconds)

    async def remote(address: str) -> list[float]:
        async with RemoteLedger(address) as ledger:
            return await _by_ledger(ledger, seconds)

    with ServingProcess(url, bench.path(".duckdb"), 0, "--writer") as server:
        sides = {
            "Python API": side("Python API", lambda: asyncio.run(embedded())),
            "remote": side("remote", lambda: asyncio.run(remote(server.url))),
            "requests": side("requests", lambda: asyncio.run(_by_requests(server.port, seconds))),
        }
        if pgbench.binary():
            sides["pgbench"] = side(
                "pgbench", lambda: pgbench.latencies(bench.postgres, script, CLIENTS, seconds)
            )
        measured = alternate(bench.size.rounds, sides)

    def note(name: str) -> str:
        return f"{sum(rates[name]) / len(rates[name]):,.0f} events/s"

    peer = Figure(f"Python API, {CLIENTS} tasks", measured.median("Python API"))
    for name, figure in (
        ("remote", f"record_step, {CLIENTS} tasks of a remote ledger, p99"),
        ("requests", f"record_step, {CLIENTS} connections, a request each, p99"),
    ):
        ratio = measured.ratio(name, "Python API")
        yield Row(
            figure, measured.median(name), "ms", peer, None, ratio, Mark("≤", 1.5), note(name)
        )
    if "pgbench" in sides:
        peer = Figure(f"pgbench INSERT, {CLIENTS} clients", measured.median("pgbench"))
        figure = f"record_step, {CLIENTS} tasks of the Python API, p99"
        ratio = measured.ratio("Python API", "pgbench")
        ours = measured.median("Python API")
        yield Row(figure, ours, "ms", peer, None, ratio, None, note("Python API"))
        ratio = measured.ratio("remote", "pgbench")
        figure = f"record_step, {CLIENTS} tasks of a remote ledger, p99"
        yield Row(figure, measured.median("remote"), "ms", peer, None, ratio)
