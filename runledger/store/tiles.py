"""Tiles: what 256 events of the log were when they were kept, so that damage on a disk is found.

A leaf is the SHA-256 of RFC 9162 over an event's position and the digest of what is stored of it;
contents enter by a salted commitment. One CRC-32 over all events of a tile, column by column, says
quickly that they are as they were. Tiles alone find damage; a forger is found by a checkpoint that
is kept elsewhere, see runledger.proofs.
"""

import random
import zlib
from array import array
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Final, NamedTuple

from runledger.errors import LogDamaged
from runledger.store.commitments import Commitment, agree, commit, pack, unpack
from runledger.store.protocol import Store, StoredRow

WIDTH: Final = 256
"""Events of a tile."""
SAMPLE: Final = 16
"""Tiles that `doctor` looks at."""
LEAF: Final = 32
"""Bytes of a leaf."""


class Tile(NamedTuple):
    """The `number`th tile, from 0: the events with first <= position <= last.

    They are 256, but in the last tile, which grows. `leaves` are 32 bytes for each event,
    `contents` their commitments; `check` is the CRC-32 of all. `late` says that the events are
    older than the tiles of their store: so they were then.
    """

    number: int
    first: int
    last: int
    check: int
    leaves: bytes
    contents: bytes
    late: bool

    @property
    def events(self) -> int:
        """The events in it."""
        return len(self.leaves) // LEAF

    def leaf(self, index: int) -> bytes:
        """Return the leaf of its event number `index`, from 0."""
        return self.leaves[index * LEAF : (index + 1) * LEAF]

    def commitments(self) -> list[Commitment | None]:
        """Return the commitment to each event's contents; raises ValueError if it is damaged."""
        return unpack(self.contents, self.events)


class TilesEnd(NamedTuple):
    """How far the tiles go: `size` events are kept, up to the position `last`.

    Events up to the position `late` are older than the tiles of their store.
    """

    size: int
    last: int
    late: int


class Fault(NamedTuple):
    """A difference from a tile: the position of an event, None for the tile itself.

    `missing` says that the log has not as many events there as were kept.
    """

    position: int | None
    detail: str
    missing: bool = False


def digest(row: StoredRow, committed: bytes | None) -> bytes:
    """Return the digest of what is stored of an event, its contents as a commitment."""
    name = row.stream.encode()
    head = b"runledger/event/v1\n%d\n%d %b\n%b\n%b\n" % (
        row.version,
        len(name),
        name,
        row.topic.encode(),
        b"-" if committed is None else committed.hex().encode(),
    )
    return sha256(head + row.facts).digest()


def leaf(row: StoredRow, committed: bytes | None) -> bytes:
    """Return the leaf of an event, its contents as the digest of a commitment."""
    return sha256(
        b"\0runledger/entry/v1\n%020d\n%b" % (row.position, digest(row, committed))
    ).digest()


def leaves_of(rows: Sequence[StoredRow], commitments: Sequence[Commitment | None]) -> list[bytes]:
    """Return the leaves of events, each with the commitment to its contents."""
    return [leaf(row, made and made.digest) for row, made in zip(rows, commitments, strict=True)]


def fault_of(row: StoredRow, what: str) -> Fault:
    """Return the fault of one event."""
    return Fault(row.position, f"{row.topic} at version {row.version} of {row.stream}: {what}")


def contents_faults(
    rows: Sequence[StoredRow], commitments: Sequence[Commitment | None]
) -> list[Fault]:
    """Return the events whose contents are not those that were committed to."""
    return [
        fault_of(row, "contents differ")
        for row, made in zip(rows, commitments, strict=True)
        if not agree(made, row.contents)
    ]


def check_of(rows: Sequence[StoredRow]) -> int:
    """Return the CRC-32 of events: positions and versions, then streams, topics and facts."""
    found = zlib.crc32(array("q", [row.position for row in rows]).tobytes())
    found = zlib.crc32(array("q", [row.version for row in rows]).tobytes(), found)
    for column in ("stream", "topic"):
        texts = "".join([getattr(row, column) for row in rows])
        found = zlib.crc32(texts.encode(), found)
    return zlib.crc32(b"".join([row.facts for row in rows]), found)


def tile_of(number: int, rows: Sequence[StoredRow], late: bool, begun: Tile | None = None) -> Tile:
    """Return the tile of at most 256 events, which are read with their contents.

    What a tile that was begun has of them stays as it is. Raises LogDamaged if these events are
    no longer what was kept then.
    """
    done = 0 if begun is None else begun.events
    if begun is not None and check_of(rows[:done]) != begun.check:
        raise LogDamaged(
            f"the events at positions {begun.first:,} to {begun.last:,} are not what was kept of "
            f"them; run `runledger verify --log`, and restore a backup"
        )
    commitments = [commit(row.contents) for row in rows[done:]]
    leaves = leaves_of(rows[done:], commitments)
    return Tile(
        number=number,
        first=rows[0].position,
        last=rows[-1].position,
        check=check_of(rows),
        leaves=(b"" if begun is None else begun.leaves) + b"".join(leaves),
        contents=pack([*(begun.commitments() if begun else ()), *commitments]),
        late=late,
    )


def follows(tile: Tile, before: Tile | None, rows: Sequence[StoredRow]) -> bool:
    """Say whether a tile is that of the events after the tile before it.

    `rows` are the events that the log has after `before`, if there is one, up to the end of the
    tile.
    """
    if (before is None) != (tile.number == 0) or (before is not None and before.events < WIDTH):
        return False
    return len(rows) == tile.events and check_of(rows) == tile.check


def faults(tile: Tile, rows: Sequence[StoredRow]) -> list[Fault]:
    """Return what differs between a tile and the events that the log has there now."""
    span = f"positions {tile.first:,} to {tile.last:,}"
    if len(rows) != tile.events:
        return [Fault(None, f"expected {tile.events} events at {span}, found {len(rows)}", True)]
    try:
        commitments = tile.commitments()
    except ValueError:
        return [Fault(None, f"the commitments of {span} are damaged; the facts are checked alone")]
    found = [
        fault_of(rows[index], "facts differ")
        for index, leaf in enumerate(leaves_of(rows, commitments))
        if leaf != tile.leaf(index)
    ]
    sound = check_of(rows) == tile.check
    if found and sound:
        # The check and the leaves were made of the same events: one that agrees vouches for them.
        return [Fault(None, f"the leaves of {span} are damaged; the events are as they were kept")]
    found += contents_faults(rows, commitments)
    if not found and not sound:
        found = [Fault(None, f"the check of {span} is damaged; the events are as they were kept")]
    return found


def damaged(store: Store, after: int = 0) -> Iterator[Fault]:
    """Yield every difference between the log and its tiles, beyond a position.

    Events that no tile holds yet, the newest of a log that grows, are not looked at.
    """
    while found := store.tiles(after, WIDTH):
        for tile in found:
            yield from tile_faults(store, tile)
        after = found[-1].first


def tiles_between(store: Store, after: int, last: int) -> Iterator[Tile]:
    """Yield the tiles that hold events with after < position <= last, in order.

    The first may begin before them, and the last may end after them.
    """
    end = store.tiles_end()
    if end.last <= after:
        return
    found = store.tiles(after, WIDTH)
    number = (found[0].number if found else (end.size + WIDTH - 1) // WIDTH) - 1
    before = store.tile(number) if number >= 0 else None
    if before is not None and before.last > after:
        yield before
    while found:
        for tile in found:
            if tile.first > last:
                return
            yield tile
        found = store.tiles(found[-1].first, WIDTH)


def sampled(store: Store, count: int = SAMPLE) -> Iterator[Fault]:
    """Yield the differences in some tiles, chosen by chance; in all, if they are few."""
    end = store.tiles_end()
    few = end.size <= count * WIDTH
    places = [0] if few else [random.randrange(end.last) - WIDTH for _ in range(count)]
    for after in places:
        for tile in store.tiles(max(0, after), count if few else 1):
            yield from tile_faults(store, tile)


def tile_rows(store: Store, tile: Tile, *, contents: bool = True) -> list[StoredRow]:
    """Return the events that the log has between the first and the last position of a tile."""
    return store.read_log(tile.first - 1, 2 * WIDTH, contents=contents, upto=tile.last)


def facts_agree(store: Store, tile: Tile) -> bool:
    """Return whether the log has the positions, streams, topics and facts that were kept.

    Reads the events of the tile without their contents, and computes no leaf.
    """
    return check_of(tile_rows(store, tile, contents=False)) == tile.check


def tile_faults(store: Store, tile: Tile) -> list[Fault]:
    """Return what differs between a tile and the log; reads its 256 events."""
    return faults(tile, tile_rows(store, tile))
