"""Events to JSON bytes and back: facts and contents apart, old revisions upcast, nothing guessed."""

import json
from functools import cache
from typing import Any

from pydantic import ValidationError

from runledger.errors import UndecodableEvent, describe
from runledger.events import CATALOGUE, Event
from runledger.store.protocol import EncodedEvent
from runledger.upcasters import upcast


@cache
def _marker(cls: type[Event]) -> bytes:
    return f'{{"revision":{cls.revision},'.encode()


def encode(event: Event) -> EncodedEvent:
    """Return the event as stored; fields that are None are left out of the facts."""
    cls = type(event)
    serializer = cls.__pydantic_serializer__
    facts = serializer.to_json(event, exclude_none=True, exclude=set(cls.contents) or None)
    contents = None
    if cls.contents:
        contents = serializer.to_json(event, exclude_none=True, include=set(cls.contents))
    return EncodedEvent(cls.topic, _marker(cls) + facts[1:], contents)


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
    except (ValueError, KeyError, AttributeError, TypeError) as e:
        raise UndecodableEvent(stream, version, topic, f"facts are damaged: {e!r}") from e
    if revision > cls.revision:
        raise UndecodableEvent(
            stream,
            version,
            topic,
            f"stored with revision {revision}, this version of the ledger knows {cls.revision}",
        )
    try:
        if revision < cls.revision:
            fields = upcast(topic, revision, cls.revision, fields)
        if cls.contents:
            fields.update(json.loads(contents) if contents else dict.fromkeys(cls.contents, ()))
        return cls.model_validate(fields)
    except ValidationError as e:
        raise UndecodableEvent(stream, version, topic, describe(e)) from e
    except (ValueError, KeyError, TypeError) as e:
        raise UndecodableEvent(stream, version, topic, repr(e)) from e


def today(stream: str, version: int, topic: str, facts: bytes) -> bytes:
    """Return stored facts as today's revision would have stored them."""
    return encode(decode(stream, version, topic, facts, None)).facts
