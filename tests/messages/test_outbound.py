"""The guarded client against real receivers: what it connects to, what it reads, when it stops."""

import asyncio
import os
import socket
from pathlib import Path

import pytest

from runledger.errors import AddressRefused, LedgerError, OutboundFailed, UrlRefused
from runledger.outbound import AddressPolicy, GuardedClient

LOCAL = AddressPolicy(allow_private=True, allow_http=True)
STRICT = AddressPolicy(allow_http=True)


class OnlyTwo(AddressPolicy):
    """Takes 127.0.0.2 for a public address, and judges every other as ever."""

    def refusal(self, host, address):
        return None if str(address) == "127.0.0.2" else super().refusal(host, address)


def get(url, *, policy=LOCAL, timeout=10.0, cap=1000, client=None, **options):
    async def fetch():
        async with client or GuardedClient(**options) as it:
            return await it.get(url, policy=policy, timeout=timeout, max_response_bytes=cap)

    return fetch()


def test_a_post_arrives_whole_and_its_answer_comes_back(receiver, reply):
    async def scenario():
        async with (
            receiver(reply(201, b"taken", x_one="1")) as it,
            GuardedClient() as client,
        ):
            response = await client.post(
                f"http://127.0.0.1:{it.port}/hook?a=b",
                content=b'{"run_id":"r"}',
                headers={"content-type": "application/json", "webhook-id": "w1"},
                policy=LOCAL,
                timeout=10,
                max_response_bytes=100,
            )
            return it, response

    it, response = asyncio.run(scenario())
    assert (response.status_code, response.body, response.incomplete) == (201, b"taken", None)
    assert response.headers["x-one"] == "1"
    assert response.address == "127.0.0.1"
    [(first, headers, body)] = it.requests
    assert first == "POST /hook?a=b HTTP/1.1"
    assert body == b'{"run_id":"r"}'
    assert headers["webhook-id"] == "w1"
    assert headers["accept-encoding"] == "identity"
    assert headers["host"] == f"127.0.0.1:{it.port}"


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "127.1", "0x7f.1", "2130706433", "017700000001", "[::1]"]
)
def test_a_private_address_is_refused_before_anything_is_sent(receiver, reply, host):
    async def scenario():
        async with receiver(reply()) as it:
            with pytest.raises(AddressRefused):
                await get(f"http://{host}:{it.port}/", policy=STRICT)
            return it.connections

    assert asyncio.run(scenario()) == 0


@pytest.mark.parametrize("spelling", ["127.1", "0x7f.1", "2130706433", "017700000001"])
def test_the_systems_own_resolution_of_an_odd_spelling_is_refused(
    receiver, reply, monkeypatch, spelling
):
    monkeypatch.setattr("runledger.outbound.urls._literal", lambda host: None)

    async def scenario():
        async with receiver(reply()) as it:
            with pytest.raises(AddressRefused, match=r"127.0.0.1: loopback"):
                await get(f"http://{spelling}:{it.port}/", policy=STRICT)
            return it.connections

    assert asyncio.run(scenario()) == 0


def test_one_private_answer_among_public_ones_refuses_them_all(receiver, reply, resolver):
    async def scenario():
        async with receiver(reply()) as it:
            answers = resolver(["8.8.8.8", "127.0.0.1"])
            with pytest.raises(AddressRefused, match=r"127.0.0.1: loopback"):
                await get(f"http://rebind.example:{it.port}/", policy=STRICT, resolver=answers)
            return it.connections

    assert asyncio.run(scenario()) == 0


def test_a_name_that_turns_private_after_the_check_is_not_asked_again(receiver, reply, resolver):
    """DNS rebinding: the connection goes to the address that was checked, from one resolution."""

    async def scenario():
        async with (
            receiver(reply(body=b"public"), host="127.0.0.2") as public,
            receiver(reply(body=b"private"), host="127.0.0.3", port=public.port) as inner,
        ):
            answers = resolver(["127.0.0.2"], ["127.0.0.3"])
            async with GuardedClient(resolver=answers) as client:
                url = f"http://rebind.example:{public.port}/"
                response = await get(url, policy=OnlyTwo(allow_http=True), client=client)
                assert answers.asked == [("rebind.example", public.port)]
                assert (response.address, response.body) == ("127.0.0.2", b"public")
                with pytest.raises(AddressRefused, match=r"127.0.0.3"):
                    await get(url, policy=OnlyTwo(allow_http=True), client=client)
            return public.connections, inner.connections, public.requests

    connections, inner, requests = asyncio.run(scenario())
    assert (connections, inner) == (1, 0)
    assert requests[0][1]["host"].startswith("rebind.example:")


def test_the_next_checked_address_is_tried_where_one_does_not_answer(receiver, reply, resolver):
    async def scenario():
        async with receiver(reply(body=b"second"), host="127.0.0.3") as it:
            answers = resolver(["127.0.0.2", "127.0.0.3"])
            response = await get(f"http://two.example:{it.port}/", resolver=answers)
            assert len(answers.asked) == 1
            return response

    response = asyncio.run(scenario())
    assert (response.address, response.body) == ("127.0.0.3", b"second")


@pytest.mark.slow
def test_an_address_that_swallows_connections_leaves_time_for_the_next(receiver, reply, resolver):
    async def scenario():
        async with receiver(reply(body=b"second"), host="127.0.0.3") as it:
            with socket.socket() as full:
                full.bind(("127.0.0.2", it.port))
                full.listen(0)  # and nobody accepts: the kernel drops what comes after these
                with socket.create_connection(full.getsockname()):
                    answers = resolver(["127.0.0.2", "127.0.0.3"])
                    url = f"http://two.example:{it.port}/"
                    return await get(url, resolver=answers, timeout=6.0)

    response = asyncio.run(scenario())
    assert (response.address, response.body) == ("127.0.0.3", b"second")


def test_what_was_sent_to_one_address_is_not_sent_to_the_next(receiver, reply, resolver):
    async def closes(*_):
        pass

    async def scenario():
        async with (
            receiver(closes, host="127.0.0.2") as first,
            receiver(reply(), host="127.0.0.3", port=first.port) as second,
        ):
            answers = resolver(["127.0.0.2", "127.0.0.3"])
            with pytest.raises(OutboundFailed):
                await get(f"http://two.example:{first.port}/", resolver=answers)
            return len(first.requests), second.connections

    assert asyncio.run(scenario()) == (1, 0)


def test_a_redirect_to_a_metadata_address_is_handed_back_not_followed(receiver, reply):
    async def scenario():
        answer = reply(302, location="http://169.254.169.254/latest/meta-data/")
        async with receiver(answer) as it:
            return it, await get(f"http://127.0.0.1:{it.port}/")

    it, response = asyncio.run(scenario())
    assert response.status_code == 302
    assert response.headers["location"].startswith("http://169.254.169.254")
    assert it.connections == 1


def test_no_proxy_and_no_setting_of_the_environment_is_used(receiver, reply, monkeypatch):
    async def scenario():
        async with receiver(reply(body=b"direct")) as it, receiver(reply(body=b"proxy")) as proxy:
            for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
                monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
            response = await get(f"http://127.0.0.1:{it.port}/")
            return response.body, proxy.connections

    assert asyncio.run(scenario()) == (b"direct", 0)


def test_no_cookie_and_no_connection_is_kept_between_requests(receiver, reply):
    once = reply(body=b"x", set_cookie="session=1; Path=/")

    async def as_often_as_asked(it, reader, out):
        await once(it, reader, out)
        while head := await reader.readuntil(b"\r\n\r\n"):
            it.requests.append((head.decode(), {}, b""))
            await once(it, reader, out)

    async def scenario():
        async with receiver(as_often_as_asked) as it, GuardedClient() as client:
            for _ in range(3):
                await client.get(
                    f"http://127.0.0.1:{it.port}/", policy=LOCAL, timeout=10, max_response_bytes=9
                )
            return it

    it = asyncio.run(scenario())
    assert (it.connections, len(it.requests)) == (3, 3)
    assert not any("cookie" in headers for _, headers, _ in it.requests)


@pytest.mark.parametrize("host", ["receiver.example", "receiver.example."])
def test_the_name_not_the_address_is_what_tls_and_the_receiver_see(
    receiver, reply, resolver, trusting, host
):
    async def scenario():
        async with receiver(reply(body=b"safe"), tls=True) as it:
            response = await get(
                f"https://{host}:{it.port}/",
                policy=AddressPolicy(allow_private=True),
                resolver=resolver(["127.0.0.1"]),
                ssl_context=trusting,
            )
            return it, response

    it, response = asyncio.run(scenario())
    assert response.body == b"safe"
    assert it.server_names == ["receiver.example"]
    assert it.requests[0][1]["host"] == f"{host}:{it.port}"


@pytest.mark.parametrize("host", ["other.example", "127.0.0.1"])
def test_a_certificate_for_another_name_is_refused(receiver, reply, resolver, trusting, host):
    async def scenario():
        async with receiver(reply(), tls=True) as it:
            with pytest.raises(OutboundFailed, match="certificate"):
                await get(
                    f"https://{host}:{it.port}/",
                    policy=AddressPolicy(allow_private=True),
                    resolver=resolver(["127.0.0.1"]),
                    ssl_context=trusting,
                )
            return it.requests

    assert asyncio.run(scenario()) == []


def test_a_certificate_that_nobody_vouches_for_is_refused(receiver, reply, resolver):
    async def scenario():
        async with receiver(reply(), tls=True) as it:
            with pytest.raises(OutboundFailed, match="certificate"):
                await get(
                    f"https://receiver.example:{it.port}/",
                    policy=AddressPolicy(allow_private=True),
                    resolver=resolver(["127.0.0.1"]),
                )

    asyncio.run(scenario())


def test_nobody_listening_is_a_failure_that_says_so(receiver, reply):
    async def scenario():
        async with receiver(reply()) as it:
            port = it.port
        with pytest.raises(OutboundFailed, match=r"refused|failed"):
            await get(f"http://127.0.0.1:{port}/")

    asyncio.run(scenario())


def test_a_name_that_resolves_to_nothing_is_a_failure_that_says_so(resolver):
    with pytest.raises(OutboundFailed, match=r"'gone.example' resolves to nothing"):
        asyncio.run(get("http://gone.example/", resolver=resolver([])))

    async def unknown(host, port):
        raise OSError(-2, "Name or service not known")

    with pytest.raises(OutboundFailed, match=r"resolves to nothing: .*not known"):
        asyncio.run(get("http://gone.example/", resolver=unknown))


def test_a_name_that_no_resolver_takes_is_a_failure():
    for url in (f"http://{'a' * 300}.example/", f"http://{'a' * 64}.example/", "http://a..b/"):
        with pytest.raises(LedgerError):
            asyncio.run(get(url))


def test_a_refused_url_is_refused_by_the_client_too():
    for url in ("ftp://example.com/", "https://u:p@example.com/", "data:text/plain,x"):
        with pytest.raises(UrlRefused):
            asyncio.run(get(url))


def test_a_cancelled_request_leaves_no_open_socket(receiver):
    async def scenario():
        entered = asyncio.Event()
        left = asyncio.Event()

        async def hold(it, reader, _):
            entered.set()
            await reader.read()
            left.set()

        async with receiver(hold) as it, GuardedClient() as client:
            task = asyncio.create_task(
                client.get(
                    f"http://127.0.0.1:{it.port}/", policy=LOCAL, timeout=60, max_response_bytes=9
                )
            )
            await entered.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.wait_for(left.wait(), 60)

    asyncio.run(scenario())


def test_many_requests_leave_no_open_file(receiver, reply):
    def open_files():
        return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0

    async def scenario():
        async with receiver(reply(body=b"x" * 5000)) as it, GuardedClient() as client:

            async def one():
                await client.get(
                    f"http://127.0.0.1:{it.port}/", policy=LOCAL, timeout=30, max_response_bytes=99
                )

            await asyncio.gather(*(one() for _ in range(5)))
            before = open_files()
            await asyncio.gather(*(one() for _ in range(50)))
            return before, open_files()

    before, after = asyncio.run(scenario())
    assert after <= before + 5


def test_the_environment_adds_no_trusted_certificate(monkeypatch, receiver, reply, resolver):
    monkeypatch.setenv("SSL_CERT_FILE", str(Path(__file__).parent / "receiver.pem"))

    async def scenario():
        async with receiver(reply(), tls=True) as it:
            with pytest.raises(OutboundFailed, match="certificate"):
                await get(
                    f"https://receiver.example:{it.port}/",
                    policy=AddressPolicy(allow_private=True),
                    resolver=resolver(["127.0.0.1"]),
                )

    asyncio.run(scenario())


def test_a_resolver_that_never_answers_meets_the_deadline():
    async def stuck(host, port):
        await asyncio.Event().wait()

    with pytest.raises(OutboundFailed, match="no answer within"):
        asyncio.run(get("http://slow.example/", timeout=0.1, resolver=stuck))
