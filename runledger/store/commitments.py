"""Commitments: what a tile keeps of the contents of events, which may be erased later.

A commitment is the SHA-256 of a salt and the contents. With the salt it proves the text; once the
salt is destroyed, the text cannot be found by guessing, and everything that was computed from the
commitment stays true.
"""

import os
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Final, NamedTuple

SALT: Final = 32
"""Bytes of a salt, and of a commitment."""
_PAIR: Final = 2 * SALT


class Commitment(NamedTuple):
    """A salt and the SHA-256 that it makes of an event's contents, 32 bytes each."""

    salt: bytes
    digest: bytes

    def holds(self, contents: bytes | None) -> bool:
        """Whether these are the contents that were committed to."""
        return contents is not None and digest_of(self.salt, contents) == self.digest


def agree(commitment: Commitment | None, contents: bytes | None) -> bool:
    """Return whether these are the contents that an event was kept with, or it has none still."""
    return contents is None if commitment is None else commitment.holds(contents)


def digest_of(salt: bytes, contents: bytes) -> bytes:
    """Return the commitment to contents under a salt."""
    return sha256(b"runledger/contents/v1\n" + salt + contents).digest()


def commit(contents: bytes | None) -> Commitment | None:
    """Return a commitment under a new salt; None for an event without contents."""
    if contents is None:
        return None
    salt = os.urandom(SALT)
    return Commitment(salt, digest_of(salt, contents))


def pack(commitments: Sequence[Commitment | None]) -> bytes:
    """Return them as bytes: a bit for each event that has contents, then salts and digests."""
    has = 0
    for at, commitment in enumerate(commitments):
        has |= (commitment is not None) << at
    pairs = (part for commitment in commitments if commitment for part in commitment)
    return has.to_bytes((len(commitments) + 7) // 8, "little") + b"".join(pairs)


def unpack(packed: bytes, count: int) -> list[Commitment | None]:
    """Return the commitments of `count` events; raises ValueError if the bytes are not so many."""
    start = (count + 7) // 8
    has = int.from_bytes(packed[:start], "little")
    if len(packed) != start + _PAIR * has.bit_count() or has >> count:
        raise ValueError(f"expected commitments of {count} events, found {len(packed)} bytes")
    return list(_spread(has, count, packed, start))


def _spread(has: int, count: int, packed: bytes, start: int) -> Iterable[Commitment | None]:
    for at in range(count):
        if has >> at & 1:
            yield Commitment(packed[start : start + SALT], packed[start + SALT : start + _PAIR])
            start += _PAIR
        else:
            yield None
