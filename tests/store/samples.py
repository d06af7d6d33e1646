"""Small events for the tests of the stores."""

from datetime import UTC, datetime
from typing import Any

from runledger.events import HeartbeatRecorded, MessagesRecorded
from runledger.messages import Message, TextContent
from runledger.store.codec import encode
from runledger.store.protocol import Append, EncodedEvent, StreamWrite

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def stamp(event_id: str) -> dict[str, Any]:
    """The fields of every run event."""
    return {
        "event_id": event_id,
        "occurred_at": NOON,
        "recorded_at": NOON,
        "organization": "acme",
        "agent_id": "agent-a",
        "born": 1,
    }


def beat(event_id: str) -> EncodedEvent:
    """An event without contents."""
    return encode(HeartbeatRecorded(**stamp(event_id)))


def said(event_id: str, text: str) -> EncodedEvent:
    """An event with contents."""
    body = Message(id=f"m-{event_id}", role="user", content=[TextContent(text=text)])
    facts: Any = [{"message_id": body.id, "role": body.role}]
    return encode(MessagesRecorded(**stamp(event_id), messages=facts, bodies=[body]))


def write(stream: str, expected: int, count: int = 1) -> StreamWrite:
    """Events whose ids name their stream and version."""
    versions = range(expected + 1, expected + count + 1)
    return StreamWrite(stream, expected, tuple(beat(f"{stream}/{v}") for v in versions))


def append(stream: str, expected: int, count: int = 1) -> Append:
    """An append to one stream."""
    return (write(stream, expected, count),)
