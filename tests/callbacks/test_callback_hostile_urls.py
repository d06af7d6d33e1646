"""A URL that came with an imported run, and that no door looked at: attempted once, and given up."""

import asyncio

import pytest

from runledger.errors import LedgerError
from tests.callbacks.conftest import Post
from tests.messages.hostile_urls import KNOWN


@pytest.mark.parametrize("url", [url for url in KNOWN if url])
def test_what_cannot_be_called_is_an_attempt_on_record(local_store, clock, url):
    async def scenario():
        async with Post(local_store, clock) as post:
            try:
                run_id = await post.ended(url)
            except LedgerError:
                return None  # no event can hold it
            pending = []
            while await post.courier.follow():
                pending = list(post.outbox.pending.values())
            await post.deliver()
            assert [one.faults for one in pending] == [0]
            return post.attempts(run_id)

    attempts = asyncio.run(scenario())
    if attempts is not None:
        (attempt,) = attempts
        assert not attempt.delivered
        assert attempt.error
