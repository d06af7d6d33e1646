"""URLs and addresses that must not be called: refused, recorded, nothing sent."""

import asyncio
from ipaddress import ip_address

import pytest

from runledger import RunLedger
from runledger.callbacks import CallbackSettings
from runledger.errors import AddressRefused, InvalidArgument, UrlRefused
from runledger.outbound import AddressPolicy, GuardedClient
from tests.callbacks.conftest import Post, receiving, status

PRIVATE = [
    "127.0.0.1",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "224.0.0.1",
    "0.0.0.0",
    "255.255.255.255",
    "::1",
    "fe80::1",
    "fc00::1",
    "fec0::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::a9fe:a9fe",
    "2002:a9fe:a9fe::",
    "2001:0:4136:e378:8000:63bf:5601:5601",
]
SPELLINGS = [
    "localhost",
    "127.1",
    "0x7f.1",
    "0177.0.0.1",
    "2130706433",
    "a.localhost",
    "127.0.0.1.",
]
LITERALS = [f"[{a}]" if ":" in a else a for a in PRIVATE] + SPELLINGS


class OnlyTwo(AddressPolicy):
    """Takes 127.0.0.2 for a public address, and judges every other as ever."""

    def refusal(self, host, address):
        return None if str(address) == "127.0.0.2" else super().refusal(host, address)


class Scripted:
    """A resolver that gives one answer after the other."""

    def __init__(self, *answers):
        self.answers = list(answers)

    async def __call__(self, host, port):
        answer = self.answers.pop(0)
        if not answer:
            raise OSError("no such name")
        return answer


def test_create_run_refuses_every_literal_address_that_is_not_public(tmp_path):
    async def scenario():
        async with RunLedger.open(f"sqlite:///{tmp_path}/runs.db") as ledger:
            for host in LITERALS:
                # 0177.0.0.1 is not even a URL to httpx; the others are, and are seen through.
                with pytest.raises(UrlRefused if host == "0177.0.0.1" else AddressRefused):
                    await ledger.create_run("agent-a", callback_url=f"https://{host}/hook")
            return await asyncio.to_thread(ledger.store.head)

    assert asyncio.run(scenario()) == 0


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://example.com/", "expected the scheme https, found 'http'"),
        ("ftp://example.com/", "expected the scheme https, found 'ftp'"),
        ("file:///etc/passwd", "expected the scheme https, found 'file'"),
        ("example.com/hook", "expected the scheme https, found none"),
        ("", "expected the scheme https, found none"),
        ("https://user:secret@example.com/", "expected no user or password"),
        ("https:///hook", "expected a host, found none"),
        ("https://example.com:99999/", "port"),
        ("https://example.com/\x00", "not a url"),
        ("https://example.com/" + "x" * 10_000, "expected 2048 characters at most, found 10020"),
        (7, "expected text, found int"),
    ],
)
def test_create_run_refuses_what_is_no_url_to_call(tmp_path, url, said):
    async def scenario():
        async with RunLedger.open(f"sqlite:///{tmp_path}/runs.db") as ledger:
            with pytest.raises(UrlRefused, match="url") as refused:
                await ledger.create_run("agent-a", callback_url=url)
            assert isinstance(refused.value, InvalidArgument)
            assert said in str(refused.value)
            assert "secret" not in str(refused.value)
            assert len(str(refused.value)) < 400
            return await asyncio.to_thread(ledger.store.head)

    assert asyncio.run(scenario()) == 0


def test_development_settings_allow_http_and_private_addresses(tmp_path):
    async def scenario():
        settings = CallbackSettings(dispatch=False, allow_http=True, allow_private_callbacks=True)
        url = f"sqlite:///{tmp_path}/runs.db"
        async with RunLedger.open(url, callbacks=settings) as ledger:
            run = await ledger.create_run("agent-a", callback_url="http://127.0.0.1:8000/")
            for metadata in ("169.254.169.254", "[64:ff9b::a9fe:a9fe]"):
                with pytest.raises(AddressRefused):
                    await ledger.create_run("agent-a", callback_url=f"http://{metadata}/")
            return run.callback_url

    assert asyncio.run(scenario()) == "http://127.0.0.1:8000/"


def test_a_recorded_url_that_must_not_be_called_is_given_up_without_a_connection(
    local_store, clock
):
    """History may hold any URL: what create_run would refuse, the dispatcher refuses too."""

    async def scenario():
        strict = {"allow_private_callbacks": False}
        async with receiving(status(200)) as receiver, Post(local_store, clock, **strict) as post:
            urls = [f"http://{host}:{receiver.port}/" for host in LITERALS]
            urls += [
                "ftp://example.com/",
                "https://",
                "no url",
                f"http://u:p@1.1.1.1:{receiver.port}/",
            ]
            run_ids = [await post.ended(url) for url in urls]
            await post.deliver()
            return receiver.connections, [post.attempts(run_id) for run_id in run_ids]

    connections, made = asyncio.run(scenario())
    assert connections == 0
    for attempts in made:
        (attempt,) = attempts
        assert (attempt.delivered, attempt.final, attempt.status_code) == (False, True, None)
        assert attempt.error.startswith(("expected", "not a url"))


@pytest.mark.parametrize("address", PRIVATE)
def test_a_name_that_resolves_to_a_private_address_is_refused_and_tried_again(
    local_store, clock, address
):
    async def scenario():
        strict = {"allow_private_callbacks": False}
        async with receiving(status(200)) as receiver, Post(local_store, clock, **strict) as post:
            post.client = GuardedClient(resolver=Scripted(["1.1.1.1", address]))
            post.begin_again()
            run_id = await post.ended(f"http://hook.example:{receiver.port}/")
            await post.deliver()
            return receiver.connections, post.attempts(run_id)

    connections, [attempt] = asyncio.run(scenario())
    assert connections == 0
    assert f"expected public addresses only, found {ip_address(address)}: " in attempt.error
    assert (attempt.delivered, attempt.final, attempt.status_code) == (False, False, None)


def test_a_name_that_is_public_first_and_private_second_is_called_once(
    local_store, clock, monkeypatch
):
    policy = OnlyTwo(allow_http=True)
    monkeypatch.setattr(CallbackSettings, "policy", policy)

    async def scenario():
        async with receiving(status(500)) as receiver, Post(local_store, clock) as post:
            inner = await asyncio.start_server(receiver.handle, "127.0.0.2", receiver.port)
            post.client = GuardedClient(resolver=Scripted(["127.0.0.2"], ["127.0.0.1"]))
            post.begin_again()
            run_id = await post.ended(f"http://rebind.example:{receiver.port}/")
            await post.deliver()
            clock.advance(5)
            await post.deliver()
            inner.close()
            return receiver.connections, receiver.requests, post.attempts(run_id)

    connections, requests, attempts = asyncio.run(scenario())
    assert connections == 1
    assert requests[0].headers["host"].startswith("rebind.example:")
    assert [a.status_code for a in attempts] == [500, None]
    assert "found 127.0.0.1: loopback" in attempts[1].error


def test_a_redirect_to_a_metadata_address_is_a_failure_and_not_followed(
    local_store, clock, monkeypatch
):
    async def scenario():
        called = []
        answer = status(302, location="http://169.254.169.254/latest/meta-data/")
        async with receiving(answer) as receiver, Post(local_store, clock) as post:
            original = post.client._checked_addresses

            async def noting(url, parsed, policy):
                called.append(url)
                return await original(url, parsed, policy)

            monkeypatch.setattr(post.client, "_checked_addresses", noting)
            run_id = await post.ended(receiver.url)
            await post.deliver()
            return called, receiver.url, post.attempts(run_id)

    called, url, [attempt] = asyncio.run(scenario())
    assert called == [url]
    assert attempt.status_code == 302
    assert "redirects are not followed" in attempt.error


def test_a_name_that_resolves_to_nothing_is_recorded_as_a_failed_attempt(local_store, clock):
    async def scenario():
        async with Post(local_store, clock) as post:
            post.client = GuardedClient(resolver=Scripted([], []))
            post.begin_again()
            run_id = await post.ended("https://nobody.example/")
            await post.deliver()
            clock.advance(5)
            await post.deliver()
            return post.attempts(run_id)

    attempts = asyncio.run(scenario())
    assert [a.final for a in attempts] == [False, False]
    assert "'nobody.example' resolves to nothing" in attempts[0].error


def test_an_allowed_host_may_be_private_and_no_other(local_store, clock):
    async def scenario():
        settings = {
            "allow_private_callbacks": False,
            "allowed_hosts": frozenset({"hooks.internal"}),
        }
        async with receiving(status(200)) as receiver, Post(local_store, clock, **settings) as post:
            post.client = GuardedClient(resolver=Scripted(["127.0.0.1"], ["127.0.0.1"]))
            post.begin_again()
            allowed = await post.ended(f"http://hooks.internal:{receiver.port}/")
            await post.deliver()
            other = await post.ended(f"http://other.internal:{receiver.port}/")
            await post.deliver()
            return receiver.connections, post.attempts(allowed), post.attempts(other)

    connections, [allowed], [other] = asyncio.run(scenario())
    assert (connections, allowed.delivered, other.delivered) == (1, True, False)
