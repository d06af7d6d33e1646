"""Converts the messages of callers, models or mappings; images are stored as blobs."""

import asyncio
from collections.abc import Container, Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from runledger.errors import ImageRefused, InvalidArgument, describe
from runledger.ids import derived_id, new_id
from runledger.images import IMAGE_ADDRESSES, blob_sources, resolve_images
from runledger.messages import Message
from runledger.outbound import AddressPolicy, GuardedClient
from runledger.storable import storable
from runledger.store import Store


def as_message(given: Message | Mapping[str, Any]) -> Message:
    """Return the checked message, with a fresh id if it has none."""
    if isinstance(given, Message):
        return given
    if not isinstance(given, Mapping):
        raise InvalidArgument(f"message: expected a Message or a mapping, found {given!r:.80}")
    fields = dict(given)
    fields.setdefault("id", new_id("message"))
    try:
        return _validated(fields)
    except ValidationError as e:
        raise InvalidArgument(f"message {fields['id']!r}: {describe(e)}") from e


def _validated(fields: dict[str, Any]) -> Message:
    try:
        return Message.model_validate(fields)
    except ValidationError:
        escaped = storable(fields)
        if escaped is fields:
            raise
    return Message.model_validate(escaped)


def as_messages(
    given: Iterable[Message | Mapping[str, Any]], *, whole: tuple[str, ...] | None = None
) -> list[Message]:
    """Return the checked messages, each as in `as_message`.

    `whole` identifies what the messages belong to: a run and its step, or a request. A message
    without an id gets one that is derived from `whole` and its index, the same each time.
    """
    # These are iterable too: a text by its letters, the others by their fields.
    if isinstance(given, str | bytes | Mapping | Message) or not isinstance(given, Iterable):
        raise InvalidArgument(f"messages: expected a list of messages, found {given!r:.80}")
    if whole is None:
        return [as_message(one) for one in given]
    return [as_message(_named(one, place, whole)) for place, one in enumerate(given)]


def _named(given: Message | Mapping[str, Any], place: int, whole: tuple[str, ...]) -> Any:
    if not isinstance(given, Mapping) or "id" in given:
        return given
    return {**given, "id": derived_id("message", *whole, str(place))}


def check_blobs(messages: Iterable[Message], recorded: Container[str]) -> None:
    """Raise ImageRefused for a reference to stored bytes, unless the recorded message has it
    already.

    Blobs have no owner: a caller that knows only a hash must not get access to stored bytes.
    """
    for message in messages:
        if message.id not in recorded:
            for source in blob_sources(message):
                raise ImageRefused(
                    f"message {message.id!r}",
                    source.sha256,
                    "expected a url, base64 data or a file id, found a reference to stored bytes",
                )


async def keep_images(
    given: list[Message], store: Store, addresses: AddressPolicy = IMAGE_ADDRESSES
) -> list[Message]:
    """Return the messages with their images fetched and stored as blobs.

    The bytes are stored before the event that refers to them, so that no reference is dangling.

    Raises:
        ImageRefused: if an image cannot be fetched.
    """
    async with GuardedClient() as client:
        messages, blobs = await resolve_images(given, client, policy=addresses)
    for blob in blobs.values():
        await asyncio.to_thread(store.put_blob, blob.sha256, blob.media_type, blob.data)
    return messages
