"""A server with many followers: all are woken, and all are let go when it stops.

`make bench` measures a thousand of them: the memory, and the time to stop.
"""

import asyncio
import signal
from pathlib import Path

import pytest

from runledger import RunLedger
from scripts.serving_process import ServingProcess

FOLLOWERS = 200


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


async def _reads(reader: asyncio.StreamReader, text: bytes) -> None:
    async with asyncio.timeout(120):
        while text not in (await reader.readline()):
            pass


@pytest.mark.slow
def test_many_followers_are_woken_and_let_go(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/runs.db"

    async def follow(server: ServingProcess) -> None:
        connections = [await _follow(server.port) for _ in range(FOLLOWERS)]
        assert b"503" in await _status(server.port)
        async with RunLedger.open(store) as ledger:
            await ledger.create_run("agent-a")
        await asyncio.gather(*(_reads(reader, b"run.created") for reader, _ in connections))
        server.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(120):
            await asyncio.gather(*(reader.read() for reader, _ in connections))
        for _, writer in connections:
            writer.close()
        assert await asyncio.to_thread(server.process.wait, 120) == 0

    words = ("--max-streams", str(FOLLOWERS))
    with ServingProcess(store, tmp_path / "runs.duckdb", 0, *words) as server:
        asyncio.run(follow(server))
