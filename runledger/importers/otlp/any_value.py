"""Values of attributes: what the encodings of OTLP write, as JSON has it."""

import base64
from collections.abc import Iterable, Mapping
from typing import Any, Final

from runledger.importers.otlp.span import JsonValue, as_json_value

DEEPEST: Final = 32
"""Levels of a value; what is deeper is replaced by a word."""
TOO_DEEP: Final = "(nested too deep)"


def from_json(value: Any, depth: int = 0) -> JsonValue:
    """Return an AnyValue in OTLP's JSON; None for one that is empty or of no known kind."""
    if not isinstance(value, dict):
        return None
    if depth > DEEPEST:
        return TOO_DEEP
    for key in ("stringValue", "boolValue", "bytesValue"):
        if key in value:
            return value[key] if isinstance(value[key], str | bool) else None
    if "intValue" in value:
        return _integer(value["intValue"])
    if "doubleValue" in value:
        return as_json_value(value["doubleValue"])
    if "arrayValue" in value:
        inner = value["arrayValue"]
        listed = inner.get("values") if isinstance(inner, dict) else None
        return [from_json(one, depth + 1) for one in listed] if isinstance(listed, list) else []
    if "kvlistValue" in value:
        inner = value["kvlistValue"]
        return attributes(inner.get("values") if isinstance(inner, dict) else None, depth + 1)
    return None


def attributes(given: Any, depth: int = 0) -> dict[str, JsonValue]:
    """Return attributes in OTLP's JSON, a list of keys and values; what is neither is left out."""
    if not isinstance(given, list):
        return {}
    return {
        one["key"]: from_json(one.get("value"), depth)
        for one in given
        if isinstance(one, dict) and isinstance(one.get("key"), str)
    }


def plain_attributes(given: Any) -> dict[str, JsonValue]:
    """Return attributes that are an object already, as SDKs print them."""
    return _plain(given, 0) if isinstance(given, Mapping) else {}


def from_message(value: Any, depth: int = 0) -> JsonValue:
    """Return an AnyValue of protobuf."""
    if depth > DEEPEST:
        return TOO_DEEP
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    found = getattr(value, kind)
    if kind == "array_value":
        return [from_message(one, depth + 1) for one in found.values]
    if kind == "kvlist_value":
        return message_attributes(found.values, depth + 1)
    if kind == "bytes_value":
        return base64.b64encode(found).decode("ascii")
    return as_json_value(found)


def message_attributes(given: Iterable[Any], depth: int = 0) -> dict[str, JsonValue]:
    """Return attributes of protobuf."""
    return {one.key: from_message(one.value, depth) for one in given}


def _integer(value: Any) -> JsonValue:
    """Return 64 bits, which JSON may write as text."""
    if isinstance(value, str):
        try:
            return int(value)
        except ValueError:
            return value
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _plain(value: Any, depth: int) -> Any:
    if depth > DEEPEST:
        return TOO_DEEP
    if isinstance(value, Mapping):
        return {str(key): _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, depth + 1) for item in value]
    return as_json_value(value)
