"""Events that leave the log for good, to an archive or an export, are compared with their tiles."""

from bisect import bisect_left
from collections.abc import Sequence

from runledger.errors import LogDamaged
from runledger.store.protocol import Store, StoredRow
from runledger.store.tiles import Fault, check_of, facts_agree, faults, tile_faults, tiles_between


def expect_undamaged(store: Store, rows: Sequence[StoredRow]) -> None:
    """Compare events with the CRC-32 of their tiles, and if one differs with every event's leaf.

    Contents are in no CRC-32: they are compared only if facts of their tile differ.

    Parameters:
        store: the store that they were read from.
        rows: events of the log with their contents, in order and without gaps.

    Raises:
        LogDamaged: if an event is not what was recorded. In an archive or an export the damage
            would look like the truth.
    """
    if not rows:
        return
    positions = [row.position for row in rows]
    for tile in tiles_between(store, positions[0] - 1, positions[-1]):
        differing: list[Fault] = []
        if tile.first < positions[0] or tile.last > positions[-1]:
            # The check of a tile needs all of its events, and these are some of them.
            if not facts_agree(store, tile):
                differing = tile_faults(store, tile)
        else:
            first = bisect_left(positions, tile.first)
            part = rows[first : bisect_left(positions, tile.last) + 1]
            if check_of(part) != tile.check:
                differing = faults(tile, part)
        for fault in differing:
            if fault.missing or fault.position is not None:
                where = "" if fault.position is None else f"position {fault.position:,}: "
                raise LogDamaged(
                    f"store {store.url!r}: {where}{fault.detail}: not what was recorded; run "
                    f"`runledger verify --log` for all of them, and restore a backup"
                )
