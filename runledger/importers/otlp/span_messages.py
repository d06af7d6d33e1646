"""Texts that were sent to a model and answered, in every form in which spans have them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from runledger.importers.otlp.conventions import MessageNames
from runledger.importers.otlp.span import Attributes, Span
from runledger.messages import ReasoningContent, Role, TextContent

_THOUGHT: Final = ("reasoning", "thinking")


class SpanMessage(NamedTuple):
    """A message: its role, and its texts with whether each is reasoning."""

    role: Role
    texts: tuple[tuple[bool, str], ...]

    @property
    def parts(self) -> list[TextContent | ReasoningContent]:
        """The texts as parts of a message."""
        return [
            ReasoningContent(is_native=True, reasoning=text) if thought else TextContent(text=text)
            for thought, text in self.texts
        ]


def sent(span: Span, names: MessageNames) -> list[SpanMessage]:
    """Return what was sent to a model by its span, instructions first."""
    found = _first(span, names.sent, names.listed_sent, names, "user")
    messages = found or [one for one in _of_events(span, names) if one.role != "assistant"]
    messages = messages or _whole(span, names.whole_sent, names, "user")
    orders = _first(span, names.instructions, (), names, "system")
    return [*(one for one in orders if one not in messages), *messages]


def answered(span: Span, names: MessageNames) -> list[SpanMessage]:
    """Return what a model answered by its span."""
    found = _first(span, names.answered, names.listed_answered, names, "assistant")
    messages = found or [
        message
        for event in span.happenings
        if event.name in names.choices
        for message in _messages(event.attributes, names, "assistant")
    ]
    messages = messages or _whole(span, names.whole_answered, names, "assistant")
    return [one for one in messages if one.role == "assistant"]


def _first(
    span: Span,
    structured: Sequence[str],
    listed: Sequence[str],
    names: MessageNames,
    role: Role,
) -> list[SpanMessage]:
    """Return the messages of the first attribute that has some, of the span or of its events."""
    for attributes in (span.attributes, *(event.attributes for event in span.happenings)):
        for name in structured:
            if found := list(_messages(attributes.get(name), names, role)):
                return found
        for name in listed:
            if found := list(_listed(attributes, name, names, role)):
                return found
    return []


def _whole(
    span: Span, attributes: Sequence[str], names: MessageNames, role: Role
) -> list[SpanMessage]:
    for name in attributes:
        if found := list(_messages(span.attributes.get(name), names, role)):
            return found
    return []


def _of_events(span: Span, names: MessageNames) -> Iterator[SpanMessage]:
    for event in span.happenings:
        role = names.events.get(event.name)
        if role is not None:
            yield from _messages(event.attributes, names, role)


def _messages(given: Any, names: MessageNames, role: Role) -> Iterator[SpanMessage]:
    """Yield the messages of a value: structured, or as JSON, or a plain text."""
    if isinstance(given, str):
        value = _parsed(given)
        if isinstance(value, Mapping | list):
            yield from _messages(value, names, role)
        elif given.strip():
            yield SpanMessage(role, ((False, given),))
        return
    if isinstance(given, list):
        if given and all(_is_part(one) for one in given):
            yield from _message({"parts": given}, names, role)
            return
        for one in given:
            yield from _messages(one, names, role)
        return
    if not isinstance(given, Mapping):
        return
    orders = given.get("config")
    if isinstance(orders, Mapping) and orders.get("system_instruction"):
        yield from _messages(orders["system_instruction"], names, "system")
    inner = next((given[key] for key in ("messages", "contents") if key in given), None)
    if isinstance(inner, list):
        for one in inner:
            yield from _messages(one, names, role)
    elif "message" in given or isinstance(given.get("content"), Mapping):
        yield from _messages(given.get("message", given.get("content")), names, role)
    else:
        yield from _message(given, names, role)


def _message(given: Mapping[str, Any], names: MessageNames, role: Role) -> Iterator[SpanMessage]:
    role_name = given.get("role")
    found = names.roles.get(str(role_name).lower()) if role_name else role
    # What tools returned is in their own spans.
    if found is None:
        return
    content = given.get("parts", given.get("content"))
    texts = tuple(_texts(content))
    if texts:
        yield SpanMessage(found, texts)


def _texts(content: Any) -> Iterator[tuple[bool, str]]:
    if isinstance(content, str):
        if content.strip():
            yield False, content
    elif isinstance(content, list):
        for part in content:
            yield from _texts(part)
    elif isinstance(content, Mapping):
        kind = str(content.get("type", "text"))
        text = next((content[k] for k in ("content", "text", *_THOUGHT) if k in content), None)
        if isinstance(text, str) and text.strip() and ("text" in kind or kind in _THOUGHT):
            yield kind in _THOUGHT or content.get("thought") is True, text


def _is_part(given: Any) -> bool:
    return (
        isinstance(given, Mapping) and "role" not in given and ("type" in given or "text" in given)
    )


def _listed(
    attributes: Attributes, prefix: str, names: MessageNames, role: Role
) -> Iterator[SpanMessage]:
    """Yield messages that are spread over attributes such as `gen_ai.prompt.0.content`."""
    spread: dict[int, dict[str, Any]] = {}
    for name, value in attributes.items():
        number, _, field = name.removeprefix(f"{prefix}.").partition(".")
        if name.startswith(f"{prefix}.") and number.isdecimal():
            spread.setdefault(int(number), {})[field.removeprefix("message.")] = value
    for _, fields in sorted(spread.items()):
        parts = [
            {"type": "text", "text": fields[field]}
            for field in sorted(filter(_is_text, fields), key=_number)
        ]
        content = fields.get("content")
        value = _parsed(content) if isinstance(content, str) else content
        parsed = value if isinstance(value, list) else content
        yield from _message({"role": fields.get("role"), "content": parts or parsed}, names, role)


def _is_text(field: str) -> bool:
    return field.startswith("contents.") and field.endswith(".text")


def _number(field: str) -> int:
    number = field.split(".")[1]
    return int(number) if number.isdecimal() else 0


def _parsed(text: str) -> Any:
    if text[:1] not in ("[", "{"):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
