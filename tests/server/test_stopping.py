"""A server with a thousand followers: what they cost, and that it stops in time all the same."""

import asyncio
import signal
import time
from pathlib import Path

import psutil
import pytest
from serving_process import ServingProcess, free_port

from runledger import RunLedger

FOLLOWERS = 1_000


async def _follow(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /api/v1/log/follow HTTP/1.1\r\nHost: localhost:%d\r\n\r\n" % port)
    head = await reader.readuntil(b"\r\n\r\n")
    assert b" 200 " in head, head
    return reader, writer


async def _status(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /api/v1/log/follow HTTP/1.1\r\nHost: localhost:%d\r\n\r\n" % port)
    line = await reader.readline()
    writer.close()
    return line


async def _reads(reader: asyncio.StreamReader, text: bytes) -> float:
    async with asyncio.timeout(60):
        while text not in (await reader.readline()):
            pass
    return time.monotonic()


@pytest.mark.slow
def test_a_thousand_followers_are_woken_and_let_go(tmp_path: Path) -> None:
    store, port = f"sqlite:///{tmp_path}/runs.db", free_port()

    async def follow(process: psutil.Process) -> None:
        before = process.memory_info().rss
        connections = [await _follow(port) for _ in range(FOLLOWERS)]
        assert b"503" in await _status(port)
        assert process.memory_info().rss - before < 50 << 20
        async with RunLedger.open(store) as ledger:
            await ledger.create_run("agent-a")
        await asyncio.gather(*(_reads(reader, b"run.created") for reader, _ in connections))
        process.send_signal(signal.SIGTERM)
        begun = time.monotonic()
        async with asyncio.timeout(15):
            await asyncio.gather(*(reader.read() for reader, _ in connections))
        for _, writer in connections:
            writer.close()
        await asyncio.to_thread(process.wait, 15)
        assert time.monotonic() - begun < 15

    with ServingProcess(store, tmp_path / "runs.duckdb", port) as server:
        asyncio.run(follow(psutil.Process(server.process.pid)))
