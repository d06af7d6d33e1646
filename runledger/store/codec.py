"""Events to JSON bytes and back: facts and contents apart, old revisions upcast, no guesses."""

import json
import sys
from functools import cache
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from runledger.errors import InvalidArgument, UndecodableEvent, describe
from runledger.events import CATALOGUE, Event
from runledger.store.protocol import EncodedEvent
from runledger.upcasters import upcast

# What damaged bytes make of json, of an upcaster and of the code above.
_DAMAGE = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
_DIGITS: Final = sys.int_info.default_max_str_digits
"""The largest number of digits of an integer that Python reads from text."""


@cache
def _marker(cls: type[Event]) -> bytes:
    return f'{{"revision":{cls.revision},'.encode()


def encode(event: Event) -> EncodedEvent:
    """Return the event as stored; fields that are None are left out of the facts.

    Raises InvalidArgument for text that is not Unicode (half of a surrogate pair), for values
    nested too deep, and for integers of more digits than Python reads.
    """
    cls = type(event)
    serializer = cls.__pydantic_serializer__
    apart = set(cls.contents) or None
    try:
        facts = serializer.to_json(event, exclude_none=True, exclude=apart)
        contents = apart and serializer.to_json(event, exclude_none=True, include=apart)
    except PydanticSerializationError as e:
        raise InvalidArgument(f"{cls.topic}: cannot be stored as JSON: {e}") from e
    for stored in (facts, contents):
        if stored and len(stored) > _DIGITS and _may_be_unreadable(stored):
            _expect_readable(cls.topic, stored)
    return EncodedEvent(cls.topic, _marker(cls) + facts[1:], contents)


def _may_be_unreadable(stored: bytes) -> bool:
    # Where that many digits follow on each other, half of them fill one of these blocks. Most texts
    # have another character at the beginning of each.
    half = _DIGITS // 2
    return any(stored[place : place + half].isdigit() for place in range(0, len(stored), half))


def _expect_readable(topic: str, stored: bytes) -> None:
    try:
        json.loads(stored)
    except ValueError as e:
        raise InvalidArgument(f"{topic}: could not be read again: {e}") from e


def decode(stream: str, version: int, topic: str, facts: bytes, contents: bytes | None) -> Event:
    """Return the event, upcast to today's revision.

    Without its contents, an event that has some is decoded with empty ones. Raises
    UndecodableEvent for an unknown topic, a newer revision than this code knows, or damage.
    """
    cls = CATALOGUE.get(topic)
    if cls is None:
        raise UndecodableEvent(stream, version, topic, "no such topic in the catalogue")
    try:
        fields: dict[str, Any] = json.loads(facts)
        revision = fields.pop("revision")
        if revision > cls.revision:
            raise UndecodableEvent(
                stream,
                version,
                topic,
                f"stored with revision {revision}, this version of the ledger knows {cls.revision}",
            )
        if revision < cls.revision:
            fields = upcast(topic, revision, cls.revision, fields)
        if cls.contents:
            fields.update(_contents(cls, contents))
        return cls.model_validate(fields)
    except ValidationError as e:
        raise UndecodableEvent(stream, version, topic, describe(e)) from e
    except _DAMAGE as e:
        raise UndecodableEvent(stream, version, topic, f"damaged: {e!r}") from e


def _contents(cls: type[Event], stored: bytes | None) -> dict[str, Any]:
    if stored is None:
        return dict.fromkeys(cls.contents, ())
    fields: dict[str, Any] = json.loads(stored)
    if fields.keys() != cls.contents:
        raise ValueError(f"contents: expected {sorted(cls.contents)}, found {sorted(fields)}")
    return fields


def today(stream: str, version: int, topic: str, facts: bytes) -> bytes:
    """Return stored facts as today's revision would have stored them."""
    return encode(decode(stream, version, topic, facts, None)).facts
