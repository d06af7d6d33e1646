"""Images before an append: fetched or decoded, checked, replaced by references to their bytes."""

import asyncio
import base64
import binascii
import mimetypes
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final
from urllib.parse import unquote_to_bytes, urljoin, urlsplit

from runledger.errors import ImageRefused, OutboundError
from runledger.messages import (
    Approval,
    Base64Image,
    BlobImage,
    ContentPart,
    ImageContent,
    ImageSource,
    Message,
    ReturnPart,
    TextContent,
    ToolReturn,
    UrlImage,
)
from runledger.outbound import AddressPolicy, GuardedClient, Response

MAX_IMAGE_BYTES: Final = 10 * 1024 * 1024
FETCH_SECONDS: Final = 5.0
IMAGE_ADDRESSES: Final = AddressPolicy(allow_http=True)

_REDIRECTS: Final = 3
_PARALLEL_IMAGES: Final = 8
_UNNAMED: Final = frozenset({"", "application/octet-stream", "binary/octet-stream"})
_MAGIC: Final = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (4, b"ftypavif", "image/avif"),
    (4, b"ftypheic", "image/heic"),
    (0, b"II*\x00", "image/tiff"),
    (0, b"MM\x00*", "image/tiff"),
    (0, b"BM", "image/bmp"),
)


@dataclass(frozen=True, slots=True)
class Blob:
    """The bytes of an image, for the store."""

    sha256: str
    media_type: str
    data: bytes = field(repr=False)


async def resolve_images(
    messages: Sequence[Message],
    client: GuardedClient,
    *,
    policy: AddressPolicy = IMAGE_ADDRESSES,
    max_bytes: int = MAX_IMAGE_BYTES,
    timeout: float = FETCH_SECONDS,
) -> tuple[list[Message], dict[str, Blob]]:
    """Return the messages with every url and base64 image as a BlobImage, and the bytes by SHA-256.

    `max_bytes` and `timeout` (seconds, redirects included) apply to each image. Images by file id
    and by blob stay as they are; a message without other images is returned unchanged.

    Raises:
        ImageRefused: if an image cannot be fetched or decoded.
    """
    wanted: dict[ImageSource, str] = {}
    for message in messages:
        for source in _sources(message):
            wanted.setdefault(source, f"message {message.id!r}")
    if not wanted:
        return list(messages), {}
    images = _Images(client, policy, max_bytes, timeout)
    tasks = [asyncio.create_task(images.take(source, where)) for source, where in wanted.items()]
    try:
        blobs = await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        # The caller may close the client next, so no connection may still be open.
        await asyncio.gather(*tasks, return_exceptions=True)
    found = {
        source: BlobImage(
            sha256=blob.sha256,
            media_type=blob.media_type,
            size=len(blob.data),
            detail=source.detail if isinstance(source, Base64Image) else None,
            source_url=_public_source(source),
        )
        for source, blob in zip(wanted, blobs, strict=True)
    }
    return [_replaced(message, found) for message in messages], {b.sha256: b for b in blobs}


def _unresolved(source: ImageSource) -> bool:
    return isinstance(source, UrlImage | Base64Image)


def _parts(message: Message) -> Iterator[ContentPart]:
    yield from message.content or ()
    for item in (*(message.tool_returns or ()), *(message.approvals or ())):
        if isinstance(item, ToolReturn) and isinstance(item.func_response, list):
            yield from item.func_response


def _sources(message: Message) -> Iterator[ImageSource]:
    for part in _parts(message):
        if isinstance(part, ImageContent) and _unresolved(part.source):
            yield part.source


def blob_sources(message: Message) -> Iterator[BlobImage]:
    """Yield a message's references to stored bytes."""
    for part in _parts(message):
        if isinstance(part, ImageContent) and isinstance(part.source, BlobImage):
            yield part.source


def _is_data(url: str) -> bool:
    return url[:5].lower() == "data:"


def _public_source(source: ImageSource) -> str | None:
    """Return the source of the image; None for a data url, which would only repeat the bytes."""
    if isinstance(source, UrlImage) and not _is_data(source.url):
        return source.url
    return None


def _replaced(message: Message, found: dict[ImageSource, BlobImage]) -> Message:
    if not any(True for _ in _sources(message)):
        return message

    def part(old: ContentPart) -> ContentPart:
        if isinstance(old, ImageContent) and old.source in found:
            return ImageContent(source=found[old.source])
        return old

    def returned(item: ToolReturn) -> ToolReturn:
        if not isinstance(item.func_response, list):
            return item
        parts: list[ReturnPart] = [
            new
            for old in item.func_response
            if isinstance(new := part(old), TextContent | ImageContent)
        ]
        return item.model_copy(update={"func_response": parts})

    def answered(item: Approval | ToolReturn) -> Approval | ToolReturn:
        return returned(item) if isinstance(item, ToolReturn) else item

    return message.model_copy(
        update={
            "content": message.content and [part(old) for old in message.content],
            "tool_returns": message.tool_returns and [returned(r) for r in message.tool_returns],
            "approvals": message.approvals and [answered(a) for a in message.approvals],
        }
    )


class _Images:
    """Fetches images one by one, each with its own size limit and timeout."""

    def __init__(
        self, client: GuardedClient, policy: AddressPolicy, max_bytes: int, timeout: float
    ) -> None:
        self._client, self._policy = client, policy
        self._max_bytes, self._timeout = max_bytes, timeout
        self._places = asyncio.Semaphore(_PARALLEL_IMAGES)

    async def take(self, source: ImageSource, where: str) -> Blob:
        name = source.url if isinstance(source, UrlImage) else f"<{source.type}>"
        try:
            if isinstance(source, Base64Image):
                media_type, data = source.media_type, _decoded(source.data, self._max_bytes)
            elif isinstance(source, UrlImage) and _is_data(source.url):
                media_type, data = _from_data_url(source.url, self._max_bytes)
            else:
                async with self._places:
                    media_type, data = await self._fetched(name)
            if not data:
                raise ValueError("expected an image, found no bytes")
            if len(data) > self._max_bytes:
                raise ValueError(f"expected {self._max_bytes} bytes at most, found more")
            media_type = image_type(media_type, data, name)
        except OutboundError as error:
            hop = "" if error.url == name else f"redirected to {error.url[:200]!r}: "
            raise ImageRefused(where, name, hop + error.reason) from error
        except ValueError as error:
            raise ImageRefused(where, name, str(error)) from None
        return Blob(sha256(data).hexdigest(), media_type, data)

    async def _fetched(self, url: str) -> tuple[str, bytes]:
        clock = asyncio.get_running_loop().time
        deadline = clock() + self._timeout
        at = url
        for _ in range(_REDIRECTS + 1):
            response = await self._client.get(
                at,
                policy=self._policy,
                timeout=max(0.0, deadline - clock()),
                max_response_bytes=self._max_bytes,
                headers={"accept": "image/*"},
            )
            target = response.headers.get("location")
            if response.status_code not in (301, 302, 303, 307, 308) or target is None:
                return _body(response)
            # Every redirect passes the same checks: schemes, addresses, timeout.
            at = urljoin(at, target)
        raise ValueError(f"expected {_REDIRECTS} redirects at most, found more")


def _body(response: Response) -> tuple[str, bytes]:
    if response.status_code != 200:
        raise ValueError(f"expected status 200, found {response.status_code}")
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        # Never decompressed: a decompression bomb is small until it is opened.
        raise ValueError(
            f"expected plain bytes, found content-encoding {response.headers['content-encoding']!r}"
        )
    if response.incomplete is not None:
        raise ValueError(f"the body is not whole: {response.incomplete}")
    return response.headers.get("content-type", ""), response.body


def image_type(declared: str, data: bytes, name: str) -> str:
    """Return the media type: as declared, without parameters; otherwise by first bytes or by name.

    Raises:
        ValueError: if another type than an image is declared, or if the type is unknown.
    """
    declared = declared.partition(";")[0].strip().lower()
    if declared not in _UNNAMED:
        if not declared.startswith("image/") or len(declared) <= len("image/"):
            raise ValueError(f"expected the media type image/*, found {declared!r}")
        return declared
    for offset, magic, media_type in _MAGIC:
        if data.startswith(magic, offset):
            return media_type
    guessed = mimetypes.guess_type(urlsplit(name).path)[0]
    if guessed is None or not guessed.startswith("image/"):
        raise ValueError("expected an image, found bytes and a name that tell of none")
    return guessed


def _decoded(text: str, max_bytes: int) -> bytes:
    text = "".join(text.split())
    # Checked before decoding: four characters encode three bytes.
    if len(text) > max_bytes * 4 // 3 + 4:
        raise ValueError(f"expected {max_bytes} bytes at most, found more")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"expected base64: {error}") from None


def _from_data_url(url: str, max_bytes: int) -> tuple[str, bytes]:
    """Split and decode a data url (RFC 2397); its media type is text/plain by default."""
    head, comma, payload = url[5:].partition(",")
    if not comma:
        raise ValueError("expected a comma in the data url, found none")
    media_type, *flags = (piece.strip() for piece in head.split(";"))
    if any(flag.lower() == "base64" for flag in flags):
        return media_type or "text/plain", _decoded(
            unquote_to_bytes(payload).decode("ascii", "replace"), max_bytes
        )
    if len(payload) > 3 * max_bytes:
        raise ValueError(f"expected {max_bytes} bytes at most, found more")
    return media_type or "text/plain", unquote_to_bytes(payload)
