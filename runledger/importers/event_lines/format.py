"""The ledger's own event format: JSON Lines, one event or one blob a line, in the log's order.

An event: {"position", "stream", "version", "topic", "facts", "contents"?}, facts and contents byte
for byte as in the log. A blob, before the first event that refers to it: {"blob": <sha256>,
"media_type", "data": <base64>}.
"""

import base64
import json
import re
from collections.abc import Iterator
from hashlib import sha256
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any, Final, NamedTuple

from runledger.errors import InvalidArgument
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
from runledger.ids import check_id
from runledger.run.parties import agent_stream, conversation_stream
from runledger.run.views import view_stream
from runledger.storable import storable
from runledger.store.codec import decode, encode
from runledger.store.protocol import EncodedEvent, StoredRow

_KEYS: Final = {"position", "stream", "version", "topic", "facts", "contents"}
_OPENING: Final = (RunCreated, ConversationOpened)
_OF_VIEWS: Final = (ViewSaved, ViewRemoved)
_OF_PRICES: Final = (PricesAdopted, PricesListed, PricesApplied)
_OPENED_BY_ANY: Final = (AgentRegistered, *_OF_VIEWS, *_OF_PRICES)
"""Their streams have no first event of a kind of its own."""
_DECODER: Final = json.JSONDecoder()
_AS_EXPORTED: Final = re.compile(
    r'\{"position":\d+,"stream":"([^"\\]+)","version":(\d+),"topic":"([^"\\]+)","facts":'
)
_POSITION: Final = re.compile(rb'\{"position":(\d+),')
_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")
_CONTENTS: Final = ',"contents":'


class EventLine(NamedTuple):
    """An event of a line, checked, and still encoded as it will be stored in the log."""

    stream: str
    version: int
    encoded: EncodedEvent

    def event(self) -> Event:
        """Return the event decoded."""
        return decode(self.stream, self.version, *self.encoded)


class BlobLine(NamedTuple):
    """The bytes of an image."""

    sha256: str
    media_type: str
    data: bytes


def event_line(row: StoredRow) -> bytes:
    """Return a stored event as a line, with its end."""
    contents = b"" if row.contents is None else b',"contents":' + row.contents
    return b'{"position":%d,"stream":%s,"version":%d,"topic":%s,"facts":%s%s}\n' % (
        row.position,
        json.dumps(row.stream).encode(),
        row.version,
        json.dumps(row.topic).encode(),
        row.facts,
        contents,
    )


def blob_line(sha256: str, media_type: str, data: bytes) -> bytes:
    """Return a blob as a line, with its end."""
    fields = {"blob": sha256, "media_type": media_type, "data": base64.b64encode(data).decode()}
    return json.dumps(fields).encode() + b"\n"


def read_line(line: bytes) -> EventLine | BlobLine:
    """Parse a line.

    Raises:
        InvalidArgument: if the line is wrong.
        UndecodableEvent: if the event is not in the catalogue.
    """
    fields: dict[str, Any] = {}
    raw: dict[str, str] = {}
    try:
        text = line.decode().strip()
        exported = _as_exported(text)
        if exported is not None:
            return exported
        for key, value, written in _members(text):
            fields[key], raw[key] = value, written
    except (ValueError, RecursionError) as e:
        raise InvalidArgument(f"not JSON: {e}") from None
    if "blob" in fields:
        return _blob(fields)
    return _event(fields, raw)


def _as_exported(text: str) -> EventLine | None:
    """Return the event of a line as `event_line` writes it; None for a line of another layout."""
    head = _AS_EXPORTED.match(text)
    if head is None:
        return None
    _, end = _DECODER.raw_decode(text, head.end())
    contents = None
    if text.startswith(_CONTENTS, end) and text.endswith("}"):
        contents = text[end + len(_CONTENTS) : -1]
    elif text[end:] != "}":
        return None
    stream, version, topic = head.groups()
    return _checked(stream, int(version), topic, text[head.end() : end], contents)


def _members(text: str) -> Iterator[tuple[str, Any, str]]:
    """Yield (key, value, the value as it is written) of a JSON object."""
    at = _after_space(text, 0, "{")
    if text[at : at + 1] == "}":
        return
    while True:
        key, at = scanstring(text, _after_space(text, at, '"'))
        start = _after_space(text, at, ":")
        value, at = _DECODER.raw_decode(text, start)
        yield key, value, text[start:at]
        while text[at : at + 1] in (" ", "\t"):
            at += 1
        if text[at:] == "}":
            return
        at = _after_space(text, at, ",")


def _after_space(text: str, at: int, wanted: str) -> int:
    """Skip whitespace, the expected character, and the whitespace after it."""
    while text[at : at + 1] in (" ", "\t"):
        at += 1
    if text[at : at + 1] != wanted:
        raise ValueError(f"expected {wanted!r} at character {at + 1}, found {text[at : at + 1]!r}")
    at += 1
    # Text after a quote belongs to the string.
    while wanted != '"' and text[at : at + 1] in (" ", "\t"):
        at += 1
    return at


def _blob(fields: dict[str, Any]) -> BlobLine:
    digest, media_type = fields["blob"], fields.get("media_type")
    if not isinstance(media_type, str) or not isinstance(fields.get("data"), str):
        raise InvalidArgument("blob: expected media_type and data")
    try:
        data = base64.b64decode(fields["data"], validate=True)
    except ValueError as e:
        raise InvalidArgument(f"data: expected base64: {e}") from None
    if sha256(data).hexdigest() != digest:
        raise InvalidArgument(f"data: expected the SHA-256 {digest!r:.80}, found another")
    return BlobLine(digest, media_type, data)


def _event(fields: dict[str, Any], raw: dict[str, str]) -> EventLine:
    unknown = sorted(fields.keys() - _KEYS)
    if unknown:
        raise InvalidArgument(f"expected the keys {sorted(_KEYS)}, found {unknown} too")
    for key, kind in (("stream", str), ("version", int), ("topic", str), ("facts", dict)):
        if type(fields.get(key)) is not kind:
            raise InvalidArgument(f"{key}: expected {kind.__name__}, found {fields.get(key)!r:.80}")
    stream, version, topic = fields["stream"], fields["version"], fields["topic"]
    return _checked(stream, version, topic, raw["facts"], raw.get("contents"))


def _checked(stream: str, version: int, topic: str, facts: str, contents: str | None) -> EventLine:
    bodies = None if contents is None else contents.encode()
    encoded = EncodedEvent(topic, facts.encode(), bodies)
    event = decode(stream, version, *encoded)
    if _SURROGATE.search(facts) or (contents and _SURROGATE.search(contents)):
        # JSON can express half of a surrogate pair, read models cannot store it.
        escaped = storable(event)
        if escaped is not event:
            event, encoded = escaped, encode(escaped)
    if contents is not None and not event.contents:
        raise InvalidArgument(f"contents: expected none beside {topic}, found {contents:.80}")
    _check_place(stream, version, event)
    return EventLine(stream, version, encoded)


def _check_place(stream: str, version: int, event: Event) -> None:
    """Check that the event may be at this version of this stream."""
    if isinstance(event, AgentRegistered):
        expected = agent_stream(event.organization, event.agent_id)
    elif isinstance(event, ConversationOpened | ConversationClaimed | ConversationReleased):
        expected = conversation_stream(event.organization, event.conversation_id)
    elif isinstance(event, _OF_VIEWS):
        expected = view_stream(event.organization)
    elif isinstance(event, _OF_PRICES):
        expected = PRICES_STREAM
    else:
        expected = check_id("run", stream)
    if stream != expected:
        raise InvalidArgument(f"stream: expected {expected!r}, found {stream!r}")
    opens = isinstance(event, _OPENING)
    if version < 1 or (opens != (version == 1) and not isinstance(event, _OPENED_BY_ANY)):
        raise InvalidArgument(f"version: {event.topic} cannot be event {version} of its stream")


def position_of(line: bytes) -> int:
    """Return the position of an exported event's line; 0 for a blob, which has none."""
    found = _POSITION.match(line)
    return 0 if found is None else int(found[1])
