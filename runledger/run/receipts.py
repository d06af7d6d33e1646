"""Receipts: events store a digest of their request, so that a repeated request is recognised.

The `correlation_id` of each event of a request with an idempotency key has a digest of the key and
one of the content. A repeated request finds them in the run's stream and changes nothing, even if
the run's present state would not allow the request.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final, NamedTuple

from pydantic import BaseModel

from runledger.errors import InvalidArgument

_KEY: Final = re.compile(r"[\x21-\x7e][\x20-\x7e]{0,254}\Z")
_STORED: Final = re.compile(r"once\.([0-9a-f]{32})\.([0-9a-f]{16})\Z")


class Receipt(NamedTuple):
    """Digests of an idempotency key within its organization, and of the request's content."""

    key: str
    content: str

    @property
    def correlation_id(self) -> str:
        """The receipt as text, as it is stored in an event."""
        return f"once.{self.key}.{self.content}"


def check_key(idempotency_key: str) -> str:
    """Return an idempotency key; InvalidArgument unless it has 1 to 255 printable ASCII
    characters."""
    if not isinstance(idempotency_key, str) or not _KEY.match(idempotency_key):
        raise InvalidArgument(
            f"idempotency_key: expected 1 to 255 printable ASCII characters, "
            f"found {idempotency_key!r:.80}"
        )
    return idempotency_key


def receipt_for(
    organization: str, idempotency_key: str, commands: Sequence[Any], times: Iterable[Any]
) -> Receipt:
    """Return the receipt of commands with a key; times given by the caller are content, too."""
    content = json.dumps([_plain(commands), _plain(times)], sort_keys=True, default=repr)
    return Receipt(
        _digest(f"{organization}\x1f{check_key(idempotency_key)}")[:32], _digest(content)[:16]
    )


def read_receipt(correlation_id: str | None) -> Receipt | None:
    """Return the receipt in a correlation id, None for a correlation id of another kind."""
    found = None if correlation_id is None else _STORED.match(correlation_id)
    return found and Receipt(found[1], found[2])


def _digest(text: str) -> str:
    return sha256(text.encode(errors="surrogatepass")).hexdigest()


def _plain(value: Any) -> Any:
    """Return a canonical JSON value, the same for all equivalent inputs."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if is_dataclass(value):
        named = {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
        return {type(value).__name__: named}
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, Set):
        return sorted(map(repr, value))
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return [_plain(one) for one in value]
    return value
