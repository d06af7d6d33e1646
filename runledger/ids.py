"""Identifiers: one strict pattern each, the same at creation and at reads."""

import re
import uuid
from hashlib import sha256
from typing import Final

from runledger.errors import InvalidId

# \Z, not $: `$` lets a trailing newline through.
_UUID4: Final = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\Z"
_NAME: Final = r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}\Z"

_PATTERNS: Final = {
    "run": (re.compile(f"run-{_UUID4}"), "run-<uuid4>"),
    "step": (re.compile(f"step-{_UUID4}"), "step-<uuid4>"),
    "message": (re.compile(f"message-{_UUID4}"), "message-<uuid4>"),
    "agent": (re.compile(f"agent-{_NAME}"), "agent-<uuid4> or agent-<name>"),
    "conversation": (re.compile(f"conv(ersation)?-{_NAME}"), "conversation-<uuid4> or conv-<name>"),
    "organization": (re.compile(_NAME), "letters, digits and ._:@- (128 at most)"),
}

DEFAULT_ORGANIZATION: Final = "org-00000000-0000-4000-8000-000000000000"
"""The organization of whoever names none; the id that the replaced system uses for it."""


def new_id(kind: str) -> str:
    """Return a fresh random id, such as `run-<uuid4>`."""
    return f"{kind}-{uuid.uuid4()}"


def derived_id(kind: str, *parts: str) -> str:
    """Return the id that these parts always give: a SHA-256 laid out as a version-4 UUID.

    Imports use it so that the same source row has the same id every time.
    """
    digest = sha256("\x1f".join(parts).encode()).digest()[:16]
    return f"{kind}-{uuid.UUID(bytes=digest, version=4)}"


def check_id(kind: str, value: object) -> str:
    """Return `value` if it is a well-formed id of this kind; raise InvalidId otherwise."""
    pattern, expected = _PATTERNS[kind]
    if not isinstance(value, str) or pattern.match(value) is None:
        raise InvalidId(kind, value, expected)
    return value
