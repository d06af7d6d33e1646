"""API keys: how one is written, what is kept of it, and whether a given one is good.

The store keeps the SHA-256 of a key, never the key. A slow hash would be paid with every request,
and guards passwords: 190 random bits are not guessed.
"""

import json
import re
import secrets
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import sha256
from hmac import compare_digest
from typing import Final, NamedTuple

from runledger.errors import InvalidArgument, NotFound
from runledger.ids import check_id
from runledger.server.caller import EVERY_ORGANIZATION
from runledger.server.route import SCOPES
from runledger.store import Store

FORM: Final = r"rlk_[0-9A-Za-z]{8}_[0-9A-Za-z]{38}"
"""What a scanner for leaked secrets looks for; the last 6 characters check those before them."""

_FORM: Final = re.compile(rf"{FORM}\Z", re.ASCII)
_SIGNS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PREFIX: Final = "key:"
_ID: Final = slice(4, 12)
_CHECK: Final = 6


@dataclass(frozen=True, slots=True)
class Key:
    """What is kept of a key. Times are UTC in ISO 8601; None means never, and not revoked."""

    key_id: str
    sha256: str
    organization: str
    scopes: tuple[str, ...]
    name: str
    created_at: str
    expires_at: str | None = None
    revoked_at: str | None = None

    def good(self, at: datetime) -> bool:
        """Whether the key may be used at this time."""
        expires = self.expires_at
        return self.revoked_at is None and (expires is None or at < datetime.fromisoformat(expires))


class NewKey(NamedTuple):
    """A key that was just made: its text is shown once, and is nowhere afterwards."""

    text: str
    key: Key


class Keyring:
    """The keys of a store, in which all servers on it find the same ones."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def keys(self) -> list[Key]:
        """Return all keys ever made, those revoked too, in the order in which they were made."""
        found = self._store.notes(_PREFIX).values()
        return sorted((_read(text) for text in found), key=lambda key: key.created_at)

    def create(
        self,
        *,
        name: str,
        organization: str,
        scopes: Sequence[str] = SCOPES,
        expires_at: datetime | None = None,
    ) -> NewKey:
        """Make a key and keep its hash.

        `name` is the user of what is recorded with it; `organization` is an organization, or `*`
        for an operator's key; `scopes` are names of SCOPES. Raises InvalidArgument.
        """
        if organization != EVERY_ORGANIZATION:
            check_id("organization", organization)
        unknown = sorted(set(scopes) - set(SCOPES))
        if unknown or not scopes:
            raise InvalidArgument(f"scopes: expected any of {', '.join(SCOPES)}, found {unknown}")
        if not name or len(name) > 128 or not name.isprintable():
            raise InvalidArgument(
                f"name: expected 1 to 128 characters to print, found {name!r:.80}"
            )
        text = _made()
        key = Key(
            text[_ID],
            sha256(text.encode("ascii")).hexdigest(),
            organization,
            tuple(scope for scope in SCOPES if scope in scopes),
            name,
            datetime.now(UTC).isoformat(),
            None if expires_at is None else expires_at.astimezone(UTC).isoformat(),
        )
        self._keep(key)
        return NewKey(text, key)

    def revoke(self, key_id: str) -> Key:
        """Let a key not be used any more; servers notice within a second. Raises NotFound."""
        text = self._store.notes(_PREFIX + key_id).get(_PREFIX + key_id)
        if text is None:
            raise NotFound("key", key_id)
        key = _read(text)
        if key.revoked_at is None:
            key = Key(**{**asdict(key), "revoked_at": datetime.now(UTC).isoformat()})
            self._keep(key)
        return key

    def _keep(self, key: Key) -> None:
        self._store.save_note(_PREFIX + key.key_id, json.dumps(asdict(key)))


def matching(keys: Sequence[Key], given: str, at: datetime) -> Key | None:
    """Return the key that this text is, if it is one that may be used at this time."""
    if not well_formed(given):
        return None
    digest = sha256(given.encode("ascii")).hexdigest()
    for key in keys:
        # All of the digest is compared, whatever its beginning: the time says nothing of it.
        if key.key_id == given[_ID] and compare_digest(key.sha256, digest):
            return key if key.good(at) else None
    return None


def well_formed(given: str) -> bool:
    """Whether a text is a key by its form and its check digits; no key is looked up for it."""
    return _FORM.match(given) is not None and given[-_CHECK:] == _check(given[:-_CHECK])


def _made() -> str:
    words = "".join(secrets.choice(_SIGNS) for _ in range(8 + 32))
    text = f"rlk_{words[:8]}_{words[8:]}"
    return text + _check(text)


def _check(text: str) -> str:
    number = zlib.crc32(text.encode("ascii"))
    signs = ""
    for _ in range(_CHECK):
        number, sign = divmod(number, len(_SIGNS))
        signs = _SIGNS[sign] + signs
    return signs


def _read(text: str) -> Key:
    given = json.loads(text)
    return Key(**{**given, "scopes": tuple(given["scopes"])})
