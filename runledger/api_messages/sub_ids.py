"""Stable ids of the API messages that come from one stored message."""

import uuid

_BITS = 0x7F


def otid_of(message_id: str, index: int) -> str:
    """Return the message's UUID with its low 7 bits replaced by the index.

    If the message's id is not a UUID, or for the 129th part and later, a UUID is hashed from both.
    """
    try:
        number = uuid.UUID(message_id.removeprefix("message-")).int
    except ValueError:
        number = None
    if number is None or index > _BITS:
        return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{message_id}#{index}"))
    return str(uuid.UUID(int=(number & ~_BITS) | index))
