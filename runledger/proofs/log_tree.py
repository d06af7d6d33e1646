"""The tree of a store's log: leaves from its tiles, what is above them from a folder."""

from functools import lru_cache

from runledger.errors import LogDamaged
from runledger.proofs.checkpoint_folder import CheckpointFolder
from runledger.proofs.merkle import HASH, complete_root, tree_root
from runledger.store.protocol import Store
from runledger.store.tiles import LEAF, WIDTH, Tile


class LogTree:
    """The Merkle tree over the first `size` events that a store keeps in tiles.

    See runledger.proofs.merkle.Subtrees.
    """

    def __init__(self, store: Store, folder: CheckpointFolder, size: int) -> None:
        self._store, self._folder, self._size = store, folder, size
        self._above: dict[tuple[int, int], bytes] = {}
        self.tile = lru_cache(256)(self._tile)

    def root(self, size: int) -> bytes:
        """Return the root over the first `size` leaves."""
        return tree_root(self, 0, size)

    def subtree(self, start: int, height: int) -> bytes:
        """Return the root of the leaves start <= index < start + 2^height."""
        level, rest = divmod(height, 8)
        number, place = divmod(start >> (8 * level), WIDTH)
        hashes = self._hashes(level, number)[place * HASH : (place + (1 << rest)) * HASH]
        return complete_root(hashes)

    def grow(self, *, leaves: bool = False) -> None:
        """Write to the folder the tiles of the tree that are not there yet.

        Those of level 0, 32 bytes for each event, are written with `leaves` only; a partial tile is
        written for this size alone.
        """
        level, count = 0, self._size
        while count:
            full, rest = divmod(count, WIDTH)
            # A tile is written after those below it, so the first one missing is where to go on.
            first = self._first_missing(level, full) if level or leaves else full
            for number in range(first, full):
                self._folder.write_hashes(level, number, self._hashes(level, number))
            if rest and (level or leaves):
                self._folder.write_hashes(level, full, self._hashes(level, full)[: rest * HASH])
            level, count = level + 1, full

    def _first_missing(self, level: int, full: int) -> int:
        low, high = 0, full
        while low < high:
            middle = (low + high) // 2
            if self._folder.hashes(level, middle) is None:
                high = middle
            else:
                low = middle + 1
        return low

    def _hashes(self, level: int, number: int) -> bytes:
        """Return the hashes of a tile, as many as there are."""
        if level == 0:
            return self.tile(number).leaves
        known = self._above.get((level, number)) or self._folder.hashes(level, number) or b""
        below = number * WIDTH + len(known) // HASH
        end = min((number + 1) * WIDTH, self._size // WIDTH**level)
        if below < end:
            made = [complete_root(self._full(level - 1, one)) for one in range(below, end)]
            known += b"".join(made)
        self._above[level, number] = known
        return known

    def _full(self, level: int, number: int) -> bytes:
        hashes = self._hashes(level, number)
        if len(hashes) != WIDTH * HASH:
            raise LogDamaged(
                f"store {self._store.url!r}: expected tile {number} of level {level} full, found "
                f"{len(hashes) // HASH} of {WIDTH} hashes; run `runledger verify --log`"
            )
        return hashes

    def _tile(self, number: int) -> Tile:
        found = self._store.tile(number)
        if found is None or len(found.leaves) % LEAF:
            raise LogDamaged(
                f"store {self._store.url!r}: tile {number} of events is missing or damaged; "
                f"run `runledger verify --log`"
            )
        return found
