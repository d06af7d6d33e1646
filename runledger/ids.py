"""Identifiers: one strict pattern each, the same at creation and at reads."""

import os
import re
import uuid
from hashlib import sha256
from threading import local
from typing import Final, Literal

from runledger.errors import InvalidId

# \Z, not $: `$` also matches before a trailing newline.
_UUID4: Final = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\Z"
_SIGNS: Final = "._:@-"
LONGEST_NAME: Final = 128
_NAME: Final = rf"[A-Za-z0-9][A-Za-z0-9{_SIGNS}]{{0,{LONGEST_NAME - 1}}}\Z"
NAMES: Final = (
    f"a <name> has 1 to {LONGEST_NAME} characters: ASCII letters, digits and {_SIGNS}, "
    "the first a letter or a digit"
)
"""The patterns of the <name> in a form."""

FORMS: Final = {
    "run": "run-<uuid4>",
    "step": "step-<uuid4>",
    "message": "message-<uuid4>",
    "agent": "agent-<uuid4> or agent-<name>",
    "conversation": "conversation-<uuid4> or conv-<name>",
    "organization": "<name>",
}
"""Kind → the form of its ids."""

_PATTERNS: Final = {
    "run": re.compile(f"run-{_UUID4}"),
    "step": re.compile(f"step-{_UUID4}"),
    "message": re.compile(f"message-{_UUID4}"),
    "agent": re.compile(f"agent-{_NAME}"),
    "conversation": re.compile(f"conv(ersation)?-{_NAME}"),
    "organization": re.compile(_NAME),
}

DEFAULT_ORGANIZATION: Final = "org-00000000-0000-4000-8000-000000000000"
"""The organization of calls that name none; the replaced system uses this id for it."""


class _Entropy(local):
    """The system's random bytes, fetched for 256 ids at a time: a system call for each id would
    take a tenth of the time of a whole command."""

    def __init__(self) -> None:
        self._bytes = b""
        self._used = 0

    def take(self) -> bytes:
        if self._used == len(self._bytes):
            self._bytes, self._used = os.urandom(16 * 256), 0
        self._used += 16
        return self._bytes[self._used - 16 : self._used]

    def forget(self) -> None:
        self._bytes, self._used = b"", 0


_entropy = _Entropy()
# A forked child would otherwise generate the same ids as its parent.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_entropy.forget)


def random_hex() -> str:
    """Return 128 random bits as 32 hexadecimal digits."""
    return _entropy.take().hex()


def new_id(kind: str) -> str:
    """Return a fresh random id, such as `run-<uuid4>`."""
    digits = random_hex()
    # RFC 9562, 5.4: the version is 4, the two top bits of the variant are 10.
    variant = "89ab"[int(digits[16], 16) & 3]
    return (
        f"{kind}-{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-"
        f"{variant}{digits[17:20]}-{digits[20:]}"
    )


def derived_id(kind: str, *parts: str) -> str:
    """Return the id that is derived from these parts: a SHA-256 laid out as a version-4 UUID.

    Imports use it so that the same source row has the same id every time.
    """
    digest = sha256("\x1f".join(parts).encode(errors="backslashreplace")).digest()[:16]
    return f"{kind}-{uuid.UUID(bytes=digest, version=4)}"


def foreign_id(kind: Literal["agent", "conversation"], text: str) -> str:
    """Return the id for another system's identifier `text`; the same text always has the same id.

    A text that is a <name> stays readable: `agent-` or `conv-` and the text, or
    `conversation-<uuid4>`. In any other text, characters that a <name> cannot have are replaced by
    `-` or cut off, and the first 16 hexadecimal digits of the text's SHA-256 are appended, so that
    two texts have different ids.
    """
    if kind == "conversation" and re.match(_UUID4, text):
        return f"conversation-{text}"
    prefix = "conv" if kind == "conversation" else kind
    if re.match(_NAME, text):
        return f"{prefix}-{text}"
    digits = sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    safe = re.sub(rf"[^A-Za-z0-9{_SIGNS}]+", "-", text).lstrip(_SIGNS)
    safe = safe[: LONGEST_NAME - 17].rstrip("-")
    return f"{prefix}-{safe}-{digits}" if safe else f"{prefix}-{digits}"


def is_id(kind: str, value: str) -> bool:
    """Whether the text is a well-formed id of this kind."""
    return _PATTERNS[kind].match(value) is not None


def check_id(kind: str, value: object) -> str:
    """Return `value` if it is a well-formed id of this kind; raise InvalidId otherwise."""
    if not isinstance(value, str) or not is_id(kind, value):
        form = FORMS[kind]
        raise InvalidId(kind, value, form, NAMES if "<name>" in form else "")
    return value
