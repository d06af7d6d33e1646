"""What is written leaves in its order, and nothing of it is left behind."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from runledger.server.gathered_transport import GatheredTransport


class Recorded(asyncio.Transport):
    """A transport that remembers what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.ended: str | None = None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert self.ended is None
        self.writes.append(bytes(data))

    def close(self) -> None:
        self.ended = "closed"

    def abort(self) -> None:
        self.ended = "cut"


PIECES = st.lists(st.sampled_from([b"", b"head", b"x" * 40_000, b"y" * 200_000]), max_size=8)


@given(turns=st.lists(PIECES, max_size=4), last=PIECES)
def test_every_byte_leaves_in_its_order(turns: list[list[bytes]], last: list[bytes]) -> None:
    inner = Recorded()

    async def work() -> None:
        transport = GatheredTransport(inner, asyncio.get_running_loop())
        for turn in turns:
            before = len(inner.writes)
            for piece in turn:
                transport.write(piece)
                # What flow control counts is never held back.
                assert transport._size < 64 << 10
            await asyncio.sleep(0)
            assert b"".join(inner.writes[before:]) == b"".join(turn)
            if sum(map(len, turn)) < 64 << 10:
                assert len(inner.writes) - before <= 1
        for piece in last:
            transport.write(piece)
        transport.close()
        await asyncio.sleep(0)

    asyncio.run(work())
    assert b"".join(inner.writes) == b"".join(piece for turn in [*turns, last] for piece in turn)
    assert inner.ended == "closed"


def test_a_connection_that_is_cut_writes_nothing_more() -> None:
    inner = Recorded()

    async def work() -> None:
        transport = GatheredTransport(inner, asyncio.get_running_loop())
        transport.write(b"head")
        transport.abort()
        await asyncio.sleep(0)

    asyncio.run(work())
    assert (inner.writes, inner.ended) == ([], "cut")
