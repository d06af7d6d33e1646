"""The guarded client and receivers that drip, flood, bomb, close and reset."""

import asyncio
import gzip
import socket
import struct

import pytest

from runledger.errors import OutboundFailed
from runledger.outbound import AddressPolicy, GuardedClient

LOCAL = AddressPolicy(allow_private=True, allow_http=True)


async def get(url, *, timeout=10.0, cap=1000):
    async with GuardedClient() as client:
        return await client.get(url, policy=LOCAL, timeout=timeout, max_response_bytes=cap)


def test_a_receiver_that_drips_its_headers_meets_the_deadline(receiver):
    async def drip(it, _, out):
        out.write(b"HTTP/1.1 200 OK\r\nx: ")
        while True:
            out.write(b"y")
            await out.drain()
            await asyncio.sleep(0.01)

    async def scenario():
        async with receiver(drip) as it:
            with pytest.raises(OutboundFailed, match=r"no answer within 0\.3 s"):
                await get(f"http://127.0.0.1:{it.port}/", timeout=0.3)

    asyncio.run(scenario())


@pytest.mark.slow
def test_a_receiver_that_drips_its_body_keeps_its_status(receiver):
    async def drip(it, _, out):
        out.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        while True:
            out.write(b"y")
            await out.drain()
            await asyncio.sleep(0.01)

    async def scenario():
        async with receiver(drip) as it:
            return await get(f"http://127.0.0.1:{it.port}/", timeout=3.0)

    response = asyncio.run(scenario())
    assert response.status_code == 200
    assert response.incomplete == "not whole within 3 s"
    assert 0 < len(response.body) < 1000


def test_a_receiver_that_never_answers_meets_the_deadline(receiver):
    async def silent(it, reader, _):
        await reader.read()

    async def scenario():
        async with receiver(silent) as it:
            with pytest.raises(OutboundFailed, match="no answer within"):
                await get(f"http://127.0.0.1:{it.port}/", timeout=0.2)

    asyncio.run(scenario())


@pytest.mark.parametrize("framing", ["content-length: 10000000000", "transfer-encoding: chunked"])
def test_a_body_of_ten_gigabytes_is_left_at_the_cap(receiver, framing):
    async def flood(it, _, out):
        out.write(f"HTTP/1.1 200 OK\r\n{framing}\r\n\r\n".encode())
        block = b"10000\r\n" + b"x" * 65536 + b"\r\n" if "chunked" in framing else b"x" * 65536
        while it.sent < 10_000_000_000:
            out.write(block)
            await out.drain()
            it.sent += len(block)

    async def scenario():
        async with receiver(flood) as it:
            response = await get(f"http://127.0.0.1:{it.port}/", cap=100_000)
            return it, response

    it, response = asyncio.run(scenario())
    assert response.status_code == 200
    assert len(response.body) == 100_000
    assert response.incomplete == "more than 100000 bytes"
    # What the kernel's buffers took after the client had left, not gigabytes.
    assert it.sent < 50_000_000


@pytest.mark.parametrize(("size", "whole"), [(0, True), (99, True), (100, True), (101, False)])
def test_the_cap_is_exact(receiver, reply, size, whole):
    async def scenario():
        async with receiver(reply(body=b"x" * size)) as it:
            return await get(f"http://127.0.0.1:{it.port}/", cap=100)

    response = asyncio.run(scenario())
    assert (response.incomplete is None) is whole
    assert len(response.body) == min(size, 100)


def test_a_gzip_bomb_is_never_opened(receiver, reply):
    bomb = gzip.compress(b"\0" * 50_000_000)

    async def scenario():
        async with receiver(reply(body=bomb, content_encoding="gzip")) as it:
            return await get(f"http://127.0.0.1:{it.port}/", cap=1_000_000)

    response = asyncio.run(scenario())
    assert response.body == bomb
    assert response.headers["content-encoding"] == "gzip"


def test_endless_headers_are_refused(receiver):
    async def flood(it, _, out):
        out.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            out.write(b"x: " + b"y" * 10_000 + b"\r\n")
            await out.drain()

    async def scenario():
        async with receiver(flood) as it:
            with pytest.raises(OutboundFailed, match="RemoteProtocolError"):
                await get(f"http://127.0.0.1:{it.port}/")

    asyncio.run(scenario())


def reset(out):
    linger = struct.pack("ii", 1, 0)
    out.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    out.transport.abort()


def test_a_receiver_that_closes_before_its_status_is_a_failure(receiver):
    async def close(it, _, out):
        out.close()

    async def scenario():
        async with receiver(close) as it:
            with pytest.raises(OutboundFailed, match="disconnected without sending a response"):
                await get(f"http://127.0.0.1:{it.port}/")

    asyncio.run(scenario())


def test_a_receiver_that_resets_before_its_status_is_a_failure(receiver):
    async def scenario():
        async def answer(it, _, out):
            reset(out)

        async with receiver(answer) as it:
            with pytest.raises(OutboundFailed):
                await get(f"http://127.0.0.1:{it.port}/")

    asyncio.run(scenario())


def test_a_receiver_that_closes_within_its_body_keeps_its_status(receiver):
    async def answer(it, _, out):
        out.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nfirst")
        await out.drain()

    async def scenario():
        async with receiver(answer) as it:
            return await get(f"http://127.0.0.1:{it.port}/")

    response = asyncio.run(scenario())
    assert (response.status_code, response.body) == (200, b"first")
    assert "peer closed connection" in response.incomplete


def test_an_answer_that_is_not_http_is_a_failure(receiver):
    async def answer(it, _, out):
        out.write(b"220 mail.example ESMTP\r\n")
        await out.drain()

    async def scenario():
        async with receiver(answer) as it:
            with pytest.raises(OutboundFailed, match="RemoteProtocolError"):
                await get(f"http://127.0.0.1:{it.port}/")

    asyncio.run(scenario())
