"""Whatever a URL is, what comes of it is an answer or one of our errors, at every door."""

import asyncio
from contextlib import suppress

import pytest
from hypothesis import example, given, settings

from runledger import RunLedger
from runledger.callbacks.outbox import receiver_of
from runledger.errors import ImageRefused, LedgerError, OutboundError, UrlRefused
from runledger.images import resolve_images
from runledger.messages import ImageContent, Message, UrlImage
from runledger.outbound import AddressPolicy, GuardedClient, check_url
from tests.messages.hostile_urls import KNOWN, hostile_urls

OPEN = AddressPolicy(allow_private=True, allow_http=True)
ID = "message-00000000-0000-4000-8000-000000000001"


@settings(max_examples=200)
@given(hostile_urls)
@example("https://xn--/")
def test_a_url_is_taken_or_refused(url):
    with suppress(UrlRefused):
        check_url(url, OPEN)
    assert len(receiver_of(url)) <= 260


async def nothing_there(_host, _port):
    return ["127.0.0.1"]


@given(hostile_urls)
@example("https://xn--/")
def test_a_request_is_answered_or_fails_as_ours(url):
    async def scenario():
        async with GuardedClient(resolver=nothing_there) as client:
            with suppress(OutboundError):
                await client.get(url, policy=OPEN, timeout=0.2, max_response_bytes=10)

    asyncio.run(scenario())


@given(hostile_urls)
@example("https://xn--/")
def test_an_image_is_had_or_refused(url):
    async def scenario():
        try:
            message = Message(id=ID, role="user", content=[ImageContent(source=UrlImage(url=url))])
        except ValueError:
            return
        async with GuardedClient(resolver=nothing_there) as client:
            with suppress(ImageRefused):
                await resolve_images([message], client, policy=OPEN, timeout=0.2)

    asyncio.run(scenario())


@pytest.mark.parametrize("url", KNOWN)
def test_a_run_is_made_or_the_url_is_refused(tmp_path, url):
    async def scenario():
        async with RunLedger.open(f"sqlite:///{tmp_path}/runs.db") as ledger:
            with suppress(LedgerError):
                await ledger.create_run("agent-a", callback_url=url)

    asyncio.run(scenario())
