"""The event format: what one line says, and what it refuses."""

import base64
import json
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from strategies import events

from runledger.errors import InvalidArgument, UndecodableEvent
from runledger.events import (
    PRICES_STREAM,
    AgentRegistered,
    ConversationClaimed,
    ConversationOpened,
    ConversationReleased,
    Event,
    PricesAdopted,
    PricesApplied,
    PricesListed,
    RunCreated,
    ViewRemoved,
    ViewSaved,
)
from runledger.ids import new_id
from runledger.importers.event_lines.format import (
    BlobLine,
    EventLine,
    blob_line,
    event_line,
    read_line,
)
from runledger.run.parties import agent_stream, conversation_stream
from runledger.run.views import view_stream
from runledger.store.codec import encode
from runledger.store.protocol import StoredRow

STAMP = {
    "event_id": "e",
    "occurred_at": "2025-08-01T12:00:00Z",
    "recorded_at": "2025-08-01T12:00:00Z",
    "organization": "org",
}


def stream_of(event: Event) -> str:
    if isinstance(event, AgentRegistered):
        return agent_stream(event.organization, event.agent_id)
    if isinstance(event, ConversationOpened | ConversationClaimed | ConversationReleased):
        return conversation_stream(event.organization, event.conversation_id)
    if isinstance(event, ViewSaved | ViewRemoved):
        return view_stream(event.organization)
    if isinstance(event, PricesAdopted | PricesListed | PricesApplied):
        return PRICES_STREAM
    return new_id("run")


def row_of(event: Event) -> StoredRow:
    version = 1 if isinstance(event, RunCreated | ConversationOpened | AgentRegistered) else 2
    return StoredRow(5, stream_of(event), version, *encode(event))


@given(events)
def test_any_event_comes_back_byte_for_byte(event: Event) -> None:
    row = row_of(event)
    line = event_line(row)
    assert line.count(b"\n") == 1
    read = read_line(line)
    assert read == EventLine(row.stream, row.version, (row.topic, row.facts, row.contents))
    assert read.event() == event


@given(events)
def test_a_line_that_was_written_anew_says_the_same(event: Event) -> None:
    row = row_of(event)
    fields = json.loads(event_line(row))
    again = json.dumps(dict(reversed(fields.items())), ensure_ascii=True).encode()
    read = read_line(b"  " + again + b" \r\n")
    assert (read.stream, read.version, read.event()) == (row.stream, row.version, event)


def test_half_a_character_that_json_names_is_stored_escaped() -> None:
    created = RunCreated(**STAMP, agent_id="agent-a", born=0, metadata={"note": "MARK"})
    line = event_line(row_of(created))
    read = read_line(line.replace(b"MARK", rb"half \ud83d"))
    assert read.event().metadata == {"note": "half \\ud83d"}
    whole = read_line(line.replace(b"MARK", rb"\ud83d\ude00"))
    assert whole.event().metadata == {"note": "😀"}


def test_a_blob_comes_back() -> None:
    digest = sha256(b"pixels").hexdigest()
    assert read_line(blob_line(digest, "image/png", b"pixels")) == BlobLine(
        digest, "image/png", b"pixels"
    )


EVENT: dict[str, Any] = {
    "stream": "run-00000000-0000-4000-8000-000000000001",
    "version": 2,
    "topic": "run.started",
    "facts": {
        "revision": 1,
        "event_id": "e",
        "occurred_at": "2026-01-01T00:00:00Z",
        "recorded_at": "2026-01-01T00:00:00Z",
        "organization": "org",
        "agent_id": "agent-a",
        "born": 1,
    },
}


def test_the_position_may_be_missing() -> None:
    assert read_line(json.dumps(EVENT).encode()).version == 2


@pytest.mark.parametrize(
    ("changes", "error", "reason"),
    [
        ({"topic": "run.danced"}, UndecodableEvent, "no such topic"),
        ({"facts": {**EVENT["facts"], "revision": 99}}, UndecodableEvent, "revision 99"),
        ({"facts": {"revision": 1}}, UndecodableEvent, "event_id"),
        ({"facts": {**EVENT["facts"], "mood": 1}}, UndecodableEvent, "mood"),
        ({"facts": []}, InvalidArgument, "facts: expected dict, found []"),
        ({"version": "2"}, InvalidArgument, "version: expected int, found '2'"),
        ({"version": True}, InvalidArgument, "version: expected int, found True"),
        ({"version": 1}, InvalidArgument, "run.started cannot be event 1 of its stream"),
        ({"version": -3}, InvalidArgument, "cannot be event -3"),
        ({"stream": None}, InvalidArgument, "stream: expected str, found None"),
        ({"stream": "run-1"}, InvalidArgument, "run-<uuid4>"),
        ({"mood": 1}, InvalidArgument, "found ['mood'] too"),
        ({"contents": 5}, InvalidArgument, "expected none beside run.started, found 5"),
    ],
)
def test_a_wrong_line_is_refused(
    changes: dict[str, Any], error: type[Exception], reason: str
) -> None:
    line = json.dumps({**EVENT, **changes}).encode()
    with pytest.raises(error) as refused:
        read_line(line)
    assert reason in str(refused.value)


@pytest.mark.parametrize(
    "line",
    [b"", b"nothing", b"[1]", b'{"stream"', b'{"stream":1,}', b"{} {}", b'{"a":1}]', b"\xff{}"],
)
def test_what_is_not_json_is_refused(line: bytes) -> None:
    with pytest.raises(InvalidArgument):
        read_line(line)


def test_an_exported_line_with_another_end_is_refused() -> None:
    line = event_line(
        StoredRow(1, EVENT["stream"], 2, "run.started", json.dumps(EVENT["facts"]).encode(), None)
    )
    for broken in (line.replace(b"}\n", b"]\n"), line.strip() + b"}", line.strip()[:-1]):
        with pytest.raises(InvalidArgument):
            read_line(broken)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"blob": "0" * 64}, "expected the SHA-256"),
        ({"data": "***"}, "expected base64"),
        ({"media_type": None}, "expected media_type and data"),
    ],
)
def test_a_wrong_blob_is_refused(changes: dict[str, Any], reason: str) -> None:
    fields = {
        "blob": sha256(b"x").hexdigest(),
        "media_type": "image/png",
        "data": base64.b64encode(b"x").decode(),
        **changes,
    }
    with pytest.raises(InvalidArgument, match=reason):
        read_line(json.dumps(fields).encode())


@pytest.mark.parametrize("stream", ["org/agent-b", "other/agent-a", "agent-a"])
def test_an_event_belongs_to_the_stream_that_it_names(stream: str) -> None:
    facts = {key: EVENT["facts"][key] for key in EVENT["facts"] if key != "born"}
    line = {**EVENT, "topic": "agent.registered", "facts": facts, "stream": stream}
    with pytest.raises(InvalidArgument, match="stream: expected 'org/agent-a'"):
        read_line(json.dumps(line).encode())
