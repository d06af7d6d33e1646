"""Signatures of Standard Webhooks: HMAC-SHA256 (v1), and Ed25519 (v1a) as an extra.

Source: the specification of Standard Webhooks; the signed text is `id.timestamp.body`.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable
from typing import Protocol

from runledger.errors import InvalidArgument


class Key(Protocol):
    """A key that signs."""

    def sign(self, content: bytes) -> str:
        """Return `version,signature`, the signature in base64."""


class HmacKey:
    """A secret shared with the receiver: `whsec_` and base64 of 24 to 64 bytes."""

    def __init__(self, secret: bytes) -> None:
        if not 24 <= len(secret) <= 64:
            raise InvalidArgument(f"key whsec_…: expected 24 to 64 bytes, found {len(secret)}")
        self._secret = secret

    def sign(self, content: bytes) -> str:
        """Return the v1 signature."""
        return f"v1,{_base64(hmac.new(self._secret, content, hashlib.sha256).digest())}"


class Ed25519Key:
    """A private key: `whsk_` and base64 of its 32 bytes, or of those and the public key's 32."""

    def __init__(self, private: bytes) -> None:
        if len(private) not in (32, 64):
            raise InvalidArgument(f"key whsk_…: expected 32 or 64 bytes, found {len(private)}")
        try:
            from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        except ImportError as e:
            raise InvalidArgument(
                "key whsk_…: Ed25519 needs the package cryptography: "
                "pip install 'run-event-ledger[trust]'"
            ) from e
        self._private = Ed25519PrivateKey.from_private_bytes(private[:32])
        self.public = f"whpk_{_base64(self._private.public_key().public_bytes_raw())}"
        if len(private) == 64 and self.public != f"whpk_{_base64(private[32:])}":
            raise InvalidArgument("key whsk_…: expected its own public key in the last 32 bytes")

    def sign(self, content: bytes) -> str:
        """Return the v1a signature."""
        return f"v1a,{_base64(self._private.sign(content))}"


def parse_key(text: str) -> HmacKey | Ed25519Key:
    """Parse a key `whsec_…` or `whsk_…`; errors do not contain any part of it."""
    for prefix, kind in (("whsec_", HmacKey), ("whsk_", Ed25519Key)):
        if text.startswith(prefix):
            try:
                raw = base64.b64decode(text.removeprefix(prefix), validate=True)
            except ValueError:
                raise InvalidArgument(f"key {prefix}…: expected base64 after the prefix") from None
            return kind(raw)
    raise InvalidArgument("key: expected whsec_… (HMAC) or whsk_… (Ed25519, the private key)")


def headers(keys: Iterable[Key], webhook_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the headers of one attempt; without keys, no signature."""
    content = b"%b.%d.%b" % (webhook_id.encode(), timestamp, body)
    signatures = " ".join(key.sign(content) for key in keys)
    signed = {"webhook-signature": signatures} if signatures else {}
    return {"webhook-id": webhook_id, "webhook-timestamp": str(timestamp), **signed}


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
