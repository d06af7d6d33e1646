"""Writes that hold only for the log that they were made from: each looks for it in a transaction.

A process reads the log, works, and writes what came of it beside the log. Meanwhile a standby that
has an older log may have taken over, or a backup may have been restored: the write would say of
events that this log lacks that they are kept, or done.
"""

from collections.abc import Callable
from typing import Any

from runledger.store.log_mark import LogMark, mark_of
from runledger.store.protocol import StoredRow
from runledger.store.tiles import WIDTH, Tile, follows

Fetch = Callable[[str, Any], list[tuple[Any, ...]]]
"""Executes a statement of the store, by its name, with its parameters; returns its rows."""


def put_tile(fetch: Fetch, tile: Tile) -> bool:
    """Keep a tile if the log has its events; see runledger.store.protocol.Store."""
    found = fetch("tile", (tile.number - 1,))
    before = Tile(*found[0]) if found else None
    if not follows(tile, before, _facts(fetch, before.last if before else 0, tile.last, WIDTH + 1)):
        return False
    return bool(fetch("put_tile", tile))


def save_checkpoint(fetch: Fetch, name: str, position: int, read: LogMark | None) -> bool:
    """Keep a checkpoint if the log has the event `read`; see runledger.store.protocol.Store."""
    if read is not None:
        found = _facts(fetch, read.position - 1, read.position, 1)
        if not found or not read.is_same(mark_of(found[0])):
            return False
    fetch("save_checkpoint", (name, str(position)))
    return True


def _facts(fetch: Fetch, after: int, upto: int, limit: int) -> list[StoredRow]:
    return [StoredRow(*row) for row in fetch("facts_between", (after, upto, limit))]
