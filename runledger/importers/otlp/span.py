"""A span as it is stored and mapped, whatever its encoding was."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from math import isfinite
from typing import Any, Final

from runledger.storable import storable

JsonValue = Any
Attributes = Mapping[str, JsonValue]
"""Attributes by name; values as JSON has them."""

_TRACE_ID: Final = re.compile(r"[0-9a-f]{32}\Z")
_SPAN_ID: Final = re.compile(r"[0-9a-f]{16}\Z")


@dataclass(frozen=True, slots=True)
class Happening:
    """An event of a span."""

    name: str
    at_ns: int = 0
    attributes: Attributes = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Span:
    """One span. Ids are hexadecimal in lower case; times are nanoseconds since 1970.

    `parent_id` is empty for a root. `failed` is the status ERROR; `links` are the ids of other
    traces that it points to. `record` is whether it was sent as a log event.
    """

    trace_id: str
    span_id: str
    parent_id: str = ""
    name: str = ""
    start_ns: int = 0
    end_ns: int = 0
    failed: bool = False
    status_message: str = ""
    attributes: Attributes = field(default_factory=dict)
    happenings: tuple[Happening, ...] = ()
    links: tuple[str, ...] = ()
    scope_name: str = ""
    scope_version: str = ""
    resource: Attributes = field(default_factory=dict)
    record: bool = False

    def to_json(self) -> bytes:
        """Return the span as JSON, the same bytes for the same span."""
        # Not asdict, which copies every attribute.
        fields = {name: value for name in self.__slots__ if (value := getattr(self, name))}
        fields["happenings"] = [
            {"name": one.name, "at_ns": one.at_ns, "attributes": one.attributes}
            for one in self.happenings
        ]
        try:
            return _json(fields)
        except UnicodeEncodeError:
            return _json(storable(fields))

    @classmethod
    def from_json(cls, text: bytes) -> "Span":
        """Return the span of which `to_json` made this."""
        fields = json.loads(text)
        fields["happenings"] = tuple(Happening(**one) for one in fields.get("happenings", ()))
        fields["links"] = tuple(fields.get("links", ()))
        return cls(**fields)

    @property
    def valid(self) -> bool:
        """Whether its ids identify it: both have their length and are not zero."""
        return is_trace_id(self.trace_id) and is_span_id(self.span_id)


def is_trace_id(text: str) -> bool:
    """Whether a text is the id of a trace: 32 hexadecimal digits in lower case, not all zero."""
    return _TRACE_ID.match(text) is not None and text.strip("0") != ""


def is_span_id(text: str) -> bool:
    """Whether a text is the id of a span: 16 hexadecimal digits in lower case, not all zero."""
    return _SPAN_ID.match(text) is not None and text.strip("0") != ""


def _json(fields: Mapping[str, Any]) -> bytes:
    return json.dumps(fields, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def as_json_value(value: JsonValue) -> JsonValue:
    """Return a number that JSON does not have as text; all else as it is."""
    return str(value) if isinstance(value, float) and not isfinite(value) else value


def distinct(spans: Iterable[Span]) -> list[Span]:
    """Return each span once, in the order of its ids.

    Of two spans with the same ids that differ, one is taken by their content, never by their order:
    the one that ends later, then the one with the larger digest.
    """
    chosen: dict[tuple[str, str], Span] = {}
    for span in spans:
        key = (span.trace_id, span.span_id)
        other = chosen.get(key)
        if other is None or (other != span and _weight(span) > _weight(other)):
            chosen[key] = span
    return [chosen[key] for key in sorted(chosen)]


def _weight(span: Span) -> tuple[int, bytes]:
    return span.end_ns, sha256(span.to_json()).digest()
