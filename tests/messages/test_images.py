"""Images before an append: what is fetched, what is refused, what is left alone."""

import asyncio
import base64
import gzip
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runledger.errors import ImageRefused, InvalidArgument
from runledger.images import Blob, image_type, resolve_images
from runledger.messages import (
    Approval,
    Base64Image,
    BlobImage,
    ImageContent,
    LettaImage,
    Message,
    TextContent,
    ToolReturn,
    UrlImage,
)
from runledger.outbound import AddressPolicy, GuardedClient

LOCAL = AddressPolicy(allow_private=True, allow_http=True)
PNG = b"\x89PNG\r\n\x1a\n" + b"pixels"
JPEG = b"\xff\xd8\xff\xe0" + b"pixels"
ID = "message-00000000-0000-4000-8000-000000000001"


class NoNetwork(GuardedClient):
    """Fails the test where anything is fetched."""

    async def request(self, *_, **__):
        raise AssertionError("expected no request")


def image(source):
    return ImageContent(source=source)


def with_return(*parts):
    return Message(
        id=ID, role="tool", tool_returns=[ToolReturn(tool_call_id="c", func_response=list(parts))]
    )


def resolve(*messages, client=None, **options):
    async def run():
        async with client or NoNetwork() as it:
            return await resolve_images(messages, it, **options)

    return asyncio.run(run())


def source_of(message):
    return message.tool_returns[0].func_response[0].source


def fetch(receiver, answer, path="/a.png", **options):
    async def run():
        async with receiver(answer) as it, GuardedClient() as client:
            url = f"http://127.0.0.1:{it.port}{path}"
            message = with_return(image(UrlImage(url=url)))
            found = await resolve_images([message], client, policy=LOCAL, **options)
            return *found, url

    return asyncio.run(run())


def test_messages_without_images_come_back_themselves():
    messages = [
        Message(id=ID, role="user", content="hello"),
        with_return(TextContent(text="t")),
        Message(id=ID, role="tool", tool_returns=[ToolReturn(func_response="text")]),
        Message(id=ID, role="approval", approvals=[Approval(tool_call_id="c", approve=True)]),
        with_return(image(LettaImage(file_id="file-1", data="AAAA"))),
        with_return(image(BlobImage(sha256="0" * 64, media_type="image/png", size=3))),
    ]
    out, blobs = resolve(*messages)
    assert blobs == {}
    assert all(new is old for new, old in zip(out, messages, strict=True))


def test_a_base64_image_becomes_a_blob_wherever_it_stands():
    inline = image(Base64Image(media_type="image/png", data=base64.b64encode(PNG), detail="high"))
    messages = [
        Message(id=ID, role="user", content=[TextContent(text="look"), inline]),
        with_return(inline, TextContent(text="caption")),
        Message(
            id=ID,
            role="approval",
            approvals=[
                Approval(tool_call_id="a", approve=True),
                ToolReturn(tool_call_id="b", status="error", func_response=[inline]),
            ],
        ),
    ]
    out, blobs = resolve(*messages)
    digest = sha256(PNG).hexdigest()
    blob = image(BlobImage(sha256=digest, media_type="image/png", size=len(PNG), detail="high"))
    assert blobs == {digest: Blob(digest, "image/png", PNG)}
    assert out[0].content == [TextContent(text="look"), blob]
    assert out[1].tool_returns[0].func_response == [blob, TextContent(text="caption")]
    assert out[2].approvals[0] == Approval(tool_call_id="a", approve=True)
    assert out[2].approvals[1].func_response == [blob]
    assert out[2].approvals[1].status == "error"
    assert [Message.model_validate(m.model_dump()) for m in out] == out


@given(st.binary(min_size=1, max_size=200), st.booleans())
def test_the_bytes_of_any_base64_image_come_back_by_their_digest(data, wrapped):
    text = (base64.encodebytes if wrapped else base64.b64encode)(data).decode()
    [out], blobs = resolve(with_return(image(Base64Image(media_type="image/webp", data=text))))
    assert blobs[source_of(out).sha256].data == data
    assert source_of(out).size == len(data)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("not base64!", "expected base64"),
        ("AAA", "expected base64"),
        ("", "no bytes"),
        ("A" * 4000, "expected 1000 bytes at most"),
        (base64.b64encode(b"x" * 1001).decode(), "expected 1000 bytes at most"),
    ],
)
def test_base64_that_is_no_image_is_refused(data, says):
    with pytest.raises(ImageRefused, match=says) as caught:
        resolve(with_return(image(Base64Image(data=data))), max_bytes=1000)
    assert ID in str(caught.value)
    assert isinstance(caught.value, InvalidArgument)


def test_a_declared_type_that_is_no_image_is_refused():
    with pytest.raises(ImageRefused, match=r"expected the media type image/\*, found 'text/html'"):
        resolve(with_return(image(Base64Image(media_type="text/html", data="AAAA"))))


@pytest.mark.parametrize(
    ("url", "media_type", "data"),
    [
        ("data:image/png;base64," + base64.b64encode(PNG).decode(), "image/png", PNG),
        ("DATA:image/gif;charset=x;BASE64,R0lG", "image/gif", b"GIF"),
        ("data:image/png;base64,R0%6CG", "image/png", b"GIF"),
        ("data:image/svg+xml,%3Csvg/%3E", "image/svg+xml", b"<svg/>"),
        ("data:application/octet-stream;base64," + base64.b64encode(JPEG).decode(), "image/jpeg",
         JPEG),
    ],
)  # fmt: skip
def test_a_data_url_is_decoded_without_network_and_not_kept_as_a_url(url, media_type, data):
    [out], blobs = resolve(with_return(image(UrlImage(url=url))))
    source = source_of(out)
    assert (source.media_type, source.source_url) == (media_type, None)
    assert blobs[source.sha256].data == data


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("data:text/html,<b>", "found 'text/html'"),
        ("data:,x", "found 'text/plain'"),
        ("data:image/png;base64,@@", "expected base64"),
        ("data:image/png", "expected a comma"),
        ("data:image/png,", "no bytes"),
        ("data:image/png;base64," + "A" * 5000, "expected 1000 bytes at most"),
        ("data:image/png," + "A" * 5000, "expected 1000 bytes at most"),
        ("file:///etc/passwd", "expected the scheme https or http, found 'file'"),
        ("ftp://example.com/a.png", "found 'ftp'"),
        ("/etc/passwd", "found none"),
        ("http://127.0.0.1/a.png", "loopback"),
        ("http://0x7f.1/a.png", "loopback"),
        ("http://169.254.169.254/latest/meta-data/", "metadata"),
        ("http://[::ffff:10.0.0.1]/a.png", "IPv4-mapped form of 10.0.0.1"),
        ("https://user:pw@example.com/a.png", "no user or password"),
    ],
)
def test_a_url_that_must_not_be_fetched_is_refused_by_name_and_reason(url, says):
    with pytest.raises(ImageRefused) as caught:
        resolve(with_return(image(UrlImage(url=url))), client=GuardedClient(), max_bytes=1000)
    assert says in str(caught.value)
    assert caught.value.image == url


def test_an_image_is_fetched_once_and_named_by_its_header(receiver, reply):
    async def run():
        answer = reply(body=PNG, content_type="image/PNG; charset=binary")
        async with receiver(answer) as it, GuardedClient() as client:
            url = f"http://127.0.0.1:{it.port}/a"
            one = image(UrlImage(url=url))
            messages = [with_return(one, one), Message(id=ID, role="user", content=[one])]
            return it, url, await resolve_images(messages, client, policy=LOCAL)

    it, url, (out, blobs) = asyncio.run(run())
    digest = sha256(PNG).hexdigest()
    assert source_of(out[0]) == BlobImage(
        sha256=digest, media_type="image/png", size=len(PNG), source_url=url
    )
    assert out[1].content[0].source == source_of(out[0])
    assert list(blobs) == [digest]
    assert len(it.requests) == 1


@pytest.mark.parametrize(
    ("headers", "path", "body", "found"),
    [
        ({"content_type": "image/webp"}, "/x", b"any", "image/webp"),
        ({}, "/x", JPEG, "image/jpeg"),
        ({"content_type": "application/octet-stream"}, "/x.gif", PNG, "image/png"),
        ({}, "/x.gif?v=1", b"unknown", "image/gif"),
        ({"content_type": "text/html"}, "/x.png", PNG, None),
        ({"content_type": "image/"}, "/x.png", PNG, None),
        ({}, "/x.html", b"unknown", None),
        ({}, "/x", b"unknown", None),
    ],
)
def test_the_media_type_is_the_header_then_the_bytes_then_the_name(
    receiver, reply, headers, path, body, found
):
    if found is None:
        with pytest.raises(ImageRefused):
            fetch(receiver, reply(body=body, **headers), path)
    else:
        [out], _, _ = fetch(receiver, reply(body=body, **headers), path)
        assert source_of(out).media_type == found


def test_webp_is_told_by_its_ninth_byte():
    assert image_type("", b"RIFF\0\0\0\0WEBPVP8 ", "x") == "image/webp"


@pytest.mark.parametrize("status", [201, 204, 206, 301, 400, 404, 500])
def test_any_other_status_than_200_is_refused(receiver, reply, status):
    with pytest.raises(ImageRefused, match=f"expected status 200, found {status}"):
        fetch(receiver, reply(status, PNG, content_type="image/png"))


def test_a_body_over_the_cap_is_refused(receiver, reply):
    with pytest.raises(ImageRefused, match="more than 1000 bytes"):
        fetch(receiver, reply(body=PNG * 100, content_type="image/png"), max_bytes=1000)
    [out], _, _ = fetch(receiver, reply(body=b"x" * 1000, content_type="image/png"), max_bytes=1000)
    assert source_of(out).size == 1000


def test_a_body_that_is_not_whole_is_refused(receiver):
    async def short(it, _, out):
        out.write(b"HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ncontent-length: 999\r\n\r\n")
        out.write(PNG)
        await out.drain()

    with pytest.raises(ImageRefused, match="the body is not whole"):
        fetch(receiver, short)


def test_an_empty_body_is_refused(receiver, reply):
    with pytest.raises(ImageRefused, match="no bytes"):
        fetch(receiver, reply(content_type="image/png"))


def test_a_compressed_body_is_refused_not_opened(receiver, reply):
    bomb = gzip.compress(b"\0" * 10_000_000)
    with pytest.raises(ImageRefused, match="content-encoding 'gzip'"):
        fetch(receiver, reply(body=bomb, content_type="image/png", content_encoding="gzip"))


def test_a_silent_server_meets_the_time_limit(receiver):
    async def silent(it, reader, _):
        await reader.read()

    with pytest.raises(ImageRefused, match=r"no answer within 0\.2 s"):
        fetch(receiver, silent, timeout=0.2)


def redirects(*targets):
    """Answers /0 with a redirect to the first target, /1 to the second; then the image."""

    async def answer(it, _, out):
        step = len(it.requests) - 1
        if step < len(targets):
            target = targets[step].replace("PORT", str(it.port))
            out.write(f"HTTP/1.1 302 Found\r\nlocation: {target}\r\n\r\n".encode())
        else:
            out.write(b"HTTP/1.1 200 OK\r\ncontent-type: image/png\r\n\r\n" + PNG)
        await out.drain()

    return answer


def test_three_redirects_are_followed_and_the_first_url_is_kept(receiver):
    answer = redirects("/one", "http://127.0.0.1:PORT/two", "three")
    [out], blobs, url = fetch(receiver, answer)
    assert source_of(out).source_url == url
    assert [blob.data for blob in blobs.values()] == [PNG]


def test_a_fourth_redirect_is_refused(receiver):
    with pytest.raises(ImageRefused, match="expected 3 redirects at most"):
        fetch(receiver, redirects("/1", "/2", "/3", "/4"))


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("http://169.254.169.254/latest/meta-data/", "169.254.169.254: a metadata service"),
        ("http://[64:ff9b::a9fe:a9fe]/", "NAT64"),
        ("//metadata.localhost\\@169.254.169.254/", "169.254.169.254"),
        ("file:///etc/passwd", "found 'file'"),
        ("data:image/png;base64,AAAA", "found 'data'"),
    ],
)
def test_every_hop_of_a_redirect_is_guarded(receiver, target, says):
    with pytest.raises(ImageRefused, match="redirected to") as caught:
        fetch(receiver, redirects(target))
    assert says in str(caught.value)


def test_a_hop_whose_name_resolves_to_a_private_address_is_refused(receiver, resolver):
    class FirstHop(AddressPolicy):
        def refusal(self, host, address):
            return None if host == "first.example" else super().refusal(host, address)

    async def run():
        answer = redirects("http://second.example:PORT/")
        async with (
            receiver(answer) as it,
            GuardedClient(resolver=resolver(["127.0.0.1"])) as client,
        ):
            message = with_return(image(UrlImage(url=f"http://first.example:{it.port}/")))
            with pytest.raises(ImageRefused, match=r"second.example.*127.0.0.1: loopback"):
                await resolve_images([message], client, policy=FirstHop(allow_http=True))
            return it.connections

    assert asyncio.run(run()) == 1


def test_one_image_that_cannot_be_had_ends_the_wait_for_the_others(receiver):
    async def run():
        left = asyncio.Event()

        async def hold(it, reader, _):
            await reader.read()
            left.set()

        async with receiver(hold) as it, GuardedClient() as client:
            slow = image(UrlImage(url=f"http://127.0.0.1:{it.port}/"))
            bad = image(Base64Image(data="?"))

            with pytest.raises(ImageRefused, match="base64"):
                await resolve_images([with_return(slow, bad)], client, policy=LOCAL, timeout=600)
            if it.connections:
                await asyncio.wait_for(left.wait(), 60)

    asyncio.run(run())
