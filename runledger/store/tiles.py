"""Tiles: what 256 events of the log were when they were kept, so that damage on a disk is found.

A leaf is the SHA-256 of RFC 9162 over an event's position and the digest of what is stored of it;
contents have a CRC-32 each of their own. One CRC-32 over all events of a tile, column by column,
says quickly that they are as they were. It finds damage, and no forger.
"""

import random
import zlib
from array import array
from collections.abc import Iterator, Sequence
from hashlib import sha256
from struct import pack, unpack
from typing import Final, NamedTuple

from runledger.store.protocol import Store, StoredRow

WIDTH: Final = 256
"""Events of a tile."""
SAMPLE: Final = 16
"""Tiles that `doctor` looks at."""
_LEAF: Final = 32
_NO_CONTENTS: Final = 0


class Tile(NamedTuple):
    """The `number`th tile, from 0: the events with first <= position <= last, 256 of them.

    `leaves` are 32 bytes for each event, `contents` 4; `check` is the CRC-32 of all. `late` says
    that the events are older than the tiles of their store: so they were then.
    """

    number: int
    first: int
    last: int
    check: int
    leaves: bytes
    contents: bytes
    late: bool


class Fault(NamedTuple):
    """What differs from what was kept: the position of an event, None for the tile itself.

    `missing` says that the log has not as many events there as were kept.
    """

    position: int | None
    detail: str
    missing: bool = False


def leaf(row: StoredRow) -> bytes:
    """Return the leaf of an event as it is stored."""
    name = row.stream.encode()
    head = b"runledger/event/v1\n%d\n%d %b\n%b\n-\n" % (
        row.version,
        len(name),
        name,
        row.topic.encode(),
    )
    digest = sha256(head + row.facts).digest()
    return sha256(b"\0runledger/entry/v1\n%020d\n%b" % (row.position, digest)).digest()


def check_of(rows: Sequence[StoredRow]) -> int:
    """Return the CRC-32 of events: positions and versions, then streams, topics and facts."""
    found = zlib.crc32(array("q", [row.position for row in rows]).tobytes())
    found = zlib.crc32(array("q", [row.version for row in rows]).tobytes(), found)
    for column in ("stream", "topic"):
        texts = "".join([getattr(row, column) for row in rows])
        found = zlib.crc32(texts.encode(), found)
    return zlib.crc32(b"".join([row.facts for row in rows]), found)


def tile_of(number: int, rows: Sequence[StoredRow], late: bool) -> Tile:
    """Return the tile of 256 events, which are read with their contents."""
    return Tile(
        number=number,
        first=rows[0].position,
        last=rows[-1].position,
        check=check_of(rows),
        leaves=b"".join(map(leaf, rows)),
        contents=pack(f">{len(rows)}I", *map(_contents, rows)),
        late=late,
    )


def faults(tile: Tile, rows: Sequence[StoredRow]) -> list[Fault]:
    """Return what differs between a tile and the events that the log has there now."""
    leaves = [tile.leaves[at : at + _LEAF] for at in range(0, len(tile.leaves), _LEAF)]
    span = f"positions {tile.first:,} to {tile.last:,}"
    if len(rows) != len(leaves):
        return [Fault(None, f"expected {len(leaves)} events at {span}, found {len(rows)}", True)]
    differing = [row for row, kept in zip(rows, leaves, strict=True) if leaf(row) != kept]
    if differing and check_of(rows) == tile.check:
        # The check and the leaves were made of the same events: one that agrees vouches for them.
        return [Fault(None, f"the leaves of {span} are damaged; the events are as they were kept")]
    found = [
        Fault(row.position, f"{row.topic} at version {row.version} of {row.stream}: facts differ")
        for row in differing
    ]
    sums = unpack(f">{len(rows)}I", tile.contents)
    found += [
        Fault(
            row.position, f"{row.topic} at version {row.version} of {row.stream}: contents differ"
        )
        for row, kept in zip(rows, sums, strict=True)
        if _contents(row) != kept
    ]
    if not found and check_of(rows) != tile.check:
        found = [Fault(None, f"the check of {span} is damaged; the events are as they were kept")]
    return found


def damaged(store: Store, after: int = 0) -> Iterator[Fault]:
    """Yield every difference between the log and its tiles, beyond a position.

    Events that no tile holds yet, the newest, are not looked at.
    """
    while found := store.tiles(after, WIDTH):
        for tile in found:
            yield from tile_faults(store, tile)
        after = found[-1].first


def sampled(store: Store, count: int = SAMPLE) -> Iterator[Fault]:
    """Yield the differences in some tiles, chosen by chance; in all, if they are few."""
    number, last, _ = store.tiles_end()
    places = [0] if number <= count else [random.randrange(last) - WIDTH for _ in range(count)]
    for after in places:
        for tile in store.tiles(max(0, after), count if number <= count else 1):
            yield from tile_faults(store, tile)


def tile_faults(store: Store, tile: Tile) -> list[Fault]:
    """Return what differs between a tile and the log; reads its 256 events."""
    rows = store.read_log(tile.first - 1, 2 * WIDTH, contents=True, upto=tile.last)
    return faults(tile, rows)


def _contents(row: StoredRow) -> int:
    return _NO_CONTENTS if row.contents is None else zlib.crc32(row.contents)
