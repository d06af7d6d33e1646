"""How many spans a second does a server take over OTLP, in what memory, and when are they shown?"""

import asyncio
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import psutil
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from scripts.bench.bench import Bench
from scripts.bench.http_client import HttpClient
from scripts.bench.rounds import alternate
from scripts.bench.row import Figure, Mark, Row
from scripts.serving_process import ServingProcess

_EXPORTERS: Final = 4
_CALLS: Final = 6
"""Model calls of a trace, each with a tool call: with the agent's own, 13 spans."""
_OF_TRACE: Final = 2 * _CALLS + 1
_OF_REQUEST: Final = 40 * _OF_TRACE
"""Spans of a request: about the 512 that an exporter of the SDK sends."""
_TOKENS: Final = 812
_PROMPT: Final = "Which of the orders of this week are late, and which can still be sent? " * 8
_PACED: Final = 2
"""Requests a second, if they are not sent as fast as they are answered."""
_WAITED_SECONDS: Final = 120.0
_SOON: Final = Mark("≤", 5, "ours")


class _Taken(NamedTuple):
    """Spans that were acknowledged a second, the server's MiB at most, seconds until shown."""

    rate: float
    memory: float
    shown: float = 0.0


def rows(bench: Bench) -> Iterator[Row]:
    """Yield the rate beside a plain file that is flushed, the memory, and the delay."""
    count = max(1, bench.size.events // (5 * _OF_REQUEST))
    for kind in ("postgresql", "sqlite"):
        taken: list[_Taken] = []

        def ours(kind: str = kind, taken: list[_Taken] = taken) -> float:
            where = bench.empty_store(kind), bench.path(".duckdb"), 0, "--writer"
            with ServingProcess(*where) as server:
                taken.append(asyncio.run(_export(server, _made(count))))
            return taken[-1].rate

        def file() -> float:
            return _flushed(bench.path(".spans"), _made(count))

        measured = alternate(min(3, bench.size.rounds), {"ours": ours, "file": file})
        figure = f"{kind}: {count * _OF_REQUEST:,} spans over OTLP, {_EXPORTERS} exporters"
        yield Row(
            f"{figure}, durable",
            measured.median("ours"),
            "spans/s",
            Figure("a file, fsync per request", measured.median("file")),
            ratio=measured.ratio("ours", "file"),
            mark=Mark("≥", 5_000, "ours"),
        )
        memory = max(one.memory for one in taken)
        yield Row(f"{figure}: memory", memory, "MiB", mark=Mark("≤", 300, "ours"))
        with ServingProcess(bench.empty_store(kind), bench.path(".duckdb")) as server:
            few = _made(max(1, count // 10))
            shown = asyncio.run(_export(server, few, 1 / _PACED, shown=True))
        figure = f"{kind}: {_PACED * _OF_REQUEST:,} spans/s, and read models"
        yield Row(f"{figure}: last answer → in the totals", shown.shown, "s", mark=_SOON)
        yield Row(f"{figure}: memory", shown.memory, "MiB", mark=Mark("≤", 300, "ours"))


def _made(count: int) -> list[bytes]:
    """Return requests, as bytes, whose traces nobody has sent before."""
    begin = time.time_ns() - 60_000_000_000
    return [_request(begin + number * 1_000_000) for number in range(count)]


def _request(begin: int) -> bytes:
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    scope = resource.scope_spans.add()
    for _ in range(_OF_REQUEST // _OF_TRACE):
        trace_id, root = secrets.token_bytes(16), secrets.token_bytes(8)
        agent = scope.spans.add(trace_id=trace_id, span_id=root, name="invoke_agent orders")
        _describe(agent, begin, operation="invoke_agent", agent="orders")
        for call in range(_CALLS):
            at = begin + 1_000 * call
            chat = scope.spans.add(
                trace_id=trace_id, span_id=secrets.token_bytes(8), parent_span_id=root, name="chat"
            )
            _describe(chat, at, operation="chat", model="gpt-4.1", text=_PROMPT)
            for name, used in (("input", _TOKENS), ("output", 0)):
                chat.attributes.add(key=f"gen_ai.usage.{name}_tokens").value.int_value = used
            tool = scope.spans.add(
                trace_id=trace_id, span_id=secrets.token_bytes(8), parent_span_id=root, name="tool"
            )
            _describe(tool, at + 500, operation="execute_tool", tool="find_orders")
    return bytes(request.SerializeToString())


def _describe(
    span: Span,
    begin: int,
    *,
    operation: str,
    agent: str = "",
    model: str = "",
    tool: str = "",
    text: str = "",
) -> None:
    span.start_time_unix_nano, span.end_time_unix_nano = begin, begin + 400
    told = {
        "gen_ai.operation.name": operation,
        "gen_ai.agent.name": agent,
        "gen_ai.request.model": model,
        "gen_ai.tool.name": tool,
        "input.value": text,
    }
    for key, value in told.items():
        if value:
            span.attributes.add(key=key).value.string_value = value


async def _export(
    server: ServingProcess, requests: Sequence[bytes], pause: float = 0.0, *, shown: bool = False
) -> _Taken:
    """Send requests; with `shown`, wait until the totals have the tokens of all of them."""
    process = psutil.Process(server.process.pid)
    memory = 0
    waiting = list(requests)

    async def export() -> None:
        nonlocal memory
        async with HttpClient(server.port) as client:
            while waiting:
                await client.send("/v1/traces", waiting.pop(), "application/x-protobuf")
                memory = max(memory, process.memory_info().rss)
                if waiting:
                    await asyncio.sleep(_EXPORTERS * pause)

    begin = time.perf_counter()
    await asyncio.gather(*(export() for _ in range(_EXPORTERS)))
    answered = time.perf_counter()
    rate = len(requests) * _OF_REQUEST / (answered - begin)
    if shown:
        expected = len(requests) * _OF_REQUEST // _OF_TRACE * _CALLS * _TOKENS
        async with HttpClient(server.port) as client:
            while (found := await _tokens(client)) != expected:
                if found > expected or time.perf_counter() > answered + _WAITED_SECONDS:
                    raise AssertionError(f"expected {expected:,} tokens, found {found:,}")
                memory = max(memory, process.memory_info().rss)
                await asyncio.sleep(0.1)
    return _Taken(rate, memory / 2**20, time.perf_counter() - answered)


async def _tokens(client: HttpClient) -> int:
    return sum(total["total_tokens"] for total in await client.get("/api/v1/usage"))


def _flushed(path: Path, requests: Sequence[bytes]) -> float:
    """Return the spans a second of a file to which each request is written and flushed."""
    begin = time.perf_counter()
    with path.open("wb", buffering=0) as file:
        for request in requests:
            file.write(request)
            os.fsync(file.fileno())
    return len(requests) * _OF_REQUEST / (time.perf_counter() - begin)
