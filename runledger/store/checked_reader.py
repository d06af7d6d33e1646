"""A log reader that compares what it reads with the tiles that were kept of it."""

import zlib
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any, Final

import nanoarrow as na

from runledger.errors import LogDamaged
from runledger.store import arrow
from runledger.store.protocol import LogReader, Store
from runledger.store.tiles import Tile, facts_agree, tile_faults, tiles_between

_NUMBERS: Final = (0, 2)
_TEXTS: Final = (1, 3, 4)
"""The columns of a batch: position and version; stream, topic and facts."""


class CheckedLogReader:
    """Reads a store's log; see runledger.store.protocol.LogReader.

    Events are compared, tile by tile: with the CRC-32 of a tile, and if that differs with the leaf
    of each event. The newest events of a log that grows have no tile yet.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._reader: LogReader = store.log_reader()
        self.damaged: dict[int, str] = {}
        self._compared: Tile | None = None

    def read(self, after: int, upto: int, limit: int) -> Any:
        """Return the events with after < position <= upto, `limit` at most, or None if none are.

        `damaged` has the position of each event so far that is not what was recorded, and why.
        Raises LogDamaged if events are missing, and StoreUnavailable.
        """
        events = self._reader.read(after, upto, limit)
        if events is None:
            return None
        whole = isinstance(events, na.Array)
        chunks = list(events.iter_chunks() if whole else na.ArrayStream(events))
        if any(map(len, chunks)):
            self._compare(after, chunks)
        if whole:
            return events
        return arrow.chunked(chunks) if chunks else None

    def _compare(self, after: int, chunks: Sequence[Any]) -> None:
        positions = [_numbers(chunk, 0) for chunk in chunks]
        last = max(int(numbers[-1]) for numbers in positions if len(numbers))
        for tile in tiles_between(self._store, after, last):
            # Small batches share a tile: it is compared once for all of them.
            if tile == self._compared:
                continue
            for chunk, numbers in zip(chunks, positions, strict=True):
                if _holds(numbers, tile):
                    sound = _check(chunk, numbers, tile) == tile.check
                    break
            else:
                sound = facts_agree(self._store, tile)
            if not sound:
                self._look_closely(tile)
            self._compared = tile

    def _look_closely(self, tile: Tile) -> None:
        for fault in tile_faults(self._store, tile):
            if fault.missing:
                raise LogDamaged(f"store {self._store.url!r}: {fault.detail}; restore a backup")
            if fault.position is not None:
                self.damaged[fault.position] = (
                    f"it is not what was recorded: {fault.detail}; restore a backup, or read it "
                    f"from an archive"
                )

    def close(self) -> None:
        """Give the connection back."""
        self._reader.close()


def _numbers(chunk: Any, column: int) -> Any:
    return memoryview(chunk.child(column).buffer(1))


def _holds(positions: Any, tile: Tile) -> bool:
    """Return whether a chunk has all events of a tile, end to end."""
    first = bisect_left(positions, tile.first)
    end = first + tile.events
    return (
        end <= len(positions) and positions[first] == tile.first and positions[end - 1] == tile.last
    )


def _check(chunk: Any, positions: Any, tile: Tile) -> int:
    """Return the CRC-32 of a tile's events as the chunk has them; see tiles.check_of."""
    first = bisect_left(positions, tile.first)
    end, found = first + tile.events, 0
    for column in _NUMBERS:
        found = zlib.crc32(_numbers(chunk, column)[first:end].tobytes(), found)
    for column in _TEXTS:
        texts = chunk.child(column)
        offsets, data = memoryview(texts.buffer(1)), memoryview(texts.buffer(2))
        found = zlib.crc32(data[offsets[first] : offsets[end]].tobytes(), found)
    return found
