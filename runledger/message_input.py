"""Messages as callers give them: models, or mappings without an id; images go to the blobs."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from runledger.errors import InvalidArgument, describe
from runledger.ids import new_id
from runledger.messages import Message
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
        return Message.model_validate(fields)
    except ValidationError as e:
        raise InvalidArgument(f"message {fields['id']!r}: {describe(e)}") from e


async def as_messages(given: Iterable[Message | Mapping[str, Any]], store: Store) -> list[Message]:
    """Return the checked messages."""
    return [as_message(one) for one in given]
