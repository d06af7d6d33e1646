"""Ids of traces and spans, which files write in several ways."""

import base64
import binascii
import re
from typing import Any, Final

_HEX: Final = re.compile(r"[0-9a-fA-F]*\Z")
_BASE64: Final = {24: 32, 12: 16}
"""Length of an id in base64 → its hexadecimal digits."""


def hex_id(value: Any) -> str:
    """Return an id as hexadecimal digits in lower case; empty for what is none.

    OTLP says hexadecimal in any case; the plain JSON form of protobuf has base64, and the console
    exporter a `0x`. Jaeger leaves zeros at the beginning away from a trace's id of 64 bits.
    """
    if not isinstance(value, str):
        return ""
    text = value.removeprefix("0x")
    if _HEX.match(text) and len(text) not in _BASE64:
        return text.lower()
    if len(text) in _BASE64:
        try:
            return base64.b64decode(text, validate=True).hex()
        except (binascii.Error, ValueError):
            return ""
    return text if text == "" else ""
