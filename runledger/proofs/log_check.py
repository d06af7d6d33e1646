"""The check of a whole log by the checkpoints that are kept outside of its database."""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from runledger.errors import NotFound
from runledger.proofs.checkpoint import Checkpoint
from runledger.proofs.checkpoint_folder import CheckpointFolder
from runledger.proofs.merkle import HASH, Frontier, complete_root
from runledger.proofs.notes import Verifier
from runledger.store.commitments import Commitment
from runledger.store.protocol import Store, StoredRow
from runledger.store.tiles import WIDTH, Fault, contents_faults, fault_of, leaves_of

_SHOWN: Final = 100


class LogCheck(NamedTuple):
    """What the check of a log found.

    The first `guarded` events are in a checkpoint; `position` is that of the last of them. Events
    beyond it may be what was recorded, or not: no checkpoint knows of them.
    """

    checkpoints: int
    guarded: int
    position: int
    unguarded: int
    faults: list[Fault]


def check_log(store: Store, folder: CheckpointFolder, verifier: Verifier) -> LogCheck:
    """Read every event, and compare the tree that they make with every checkpoint of a folder.

    Args:
        store: The store.
        folder: The folder of checkpoints, which the database's users cannot write to.
        verifier: The public key of the checkpoints.

    Returns:
        What differs, placed as exactly as the folder allows: to the event if it has the leaves, to
        the 256 events of a tile, or between two checkpoints.

    Raises:
        NotFound: If the folder has no checkpoint.
        InvalidArgument: If a checkpoint is not signed by this key, or a file is damaged.

    """
    checkpoints = folder.all(verifier)
    if not checkpoints:
        raise NotFound("checkpoint", str(folder.path), "`runledger checkpoint write` makes one")
    reading = _Reading(store, folder, checkpoints)
    for number in range((checkpoints[-1].size + WIDTH - 1) // WIDTH):
        if not reading.tile(number):
            break
    return reading.result()


class _Reading:
    """The state of one pass over the log."""

    def __init__(
        self, store: Store, folder: CheckpointFolder, checkpoints: Sequence[Checkpoint]
    ) -> None:
        self._store, self._folder = store, folder
        self._checkpoints, self._count = list(checkpoints), len(checkpoints)
        self._size = checkpoints[-1].size
        self._last = 0
        self._sound = 0
        self._differing: list[Checkpoint] = []
        self._placed: list[Fault] = []
        self._contents: list[Fault] = []
        self.frontier = Frontier()

    def tile(self, number: int) -> bool:
        """Read the events of a tile; return whether there were all that the checkpoints have."""
        expected = min(WIDTH, self._size - number * WIDTH)
        rows = self._store.read_log(self._last, expected, contents=True)
        leaves = leaves_of(rows, self._commitments(number, rows))
        if rows:
            self._place(number, rows, leaves)
            self._last = rows[-1].position
        for found in leaves:
            self.frontier.add(found)
            while self._checkpoints and self._checkpoints[0].size == self.frontier.size:
                self._compare(self._checkpoints.pop(0))
        return len(rows) == expected

    def _commitments(self, number: int, rows: Sequence[StoredRow]) -> list[Commitment | None]:
        tile = self._store.tile(number)
        try:
            known = [] if tile is None else tile.commitments()[: len(rows)]
        except ValueError:
            known = []
        if len(known) < len(rows):
            self._contents.append(
                Fault(None, f"tile {number} is missing or damaged: contents cannot be compared")
            )
            return [None] * len(rows)
        self._contents += contents_faults(rows, known)
        return known

    def _compare(self, checkpoint: Checkpoint) -> None:
        if self.frontier.root() != checkpoint.root:
            self._differing.append(checkpoint)
        elif not self._differing:
            self._sound = checkpoint.size

    def _place(self, number: int, rows: Sequence[StoredRow], leaves: Sequence[bytes]) -> None:
        if outside := self._leaves(number):
            self._placed += [
                fault_of(row, "it is not what was recorded")
                for at, (row, found) in enumerate(zip(rows, leaves, strict=True))
                if outside[at * HASH : (at + 1) * HASH] != found
            ]
        elif (outside := self._root(number)) and (
            len(leaves) < WIDTH or complete_root(b"".join(leaves)) != outside
        ):
            first, last = rows[0].position, rows[-1].position
            self._placed.append(
                Fault(None, f"among positions {first:,} to {last:,}: not what was recorded")
            )

    def _leaves(self, number: int) -> bytes | None:
        width = min(WIDTH, self._size - number * WIDTH)
        return self._folder.hashes(0, number, width)

    def _root(self, number: int) -> bytes | None:
        above, place = divmod(number, WIDTH)
        width = min(WIDTH, self._size // WIDTH - above * WIDTH)
        hashes = self._folder.hashes(1, above, width) if place < width else None
        return hashes and hashes[place * HASH : (place + 1) * HASH]

    def result(self) -> LogCheck:
        """Return what was found."""
        return LogCheck(
            checkpoints=self._count,
            guarded=self._size,
            position=self._last,
            unguarded=max(0, self._store.tiles_end().size - self._size),
            faults=list(self._faults()),
        )

    def _faults(self) -> Iterator[Fault]:
        missing = self.frontier.size < self._size
        if missing:
            yield Fault(
                None,
                f"expected {self._size:,} events, found {self.frontier.size:,}; the last is at "
                f"position {self._last:,}",
                missing=True,
            )
        sound = not self._differing and not missing
        if sound and self._placed:
            yield Fault(None, "tiles in the folder are damaged; the log is that of the checkpoints")
        elif not sound:
            # An event that is gone moves all that follow it: the first faults say where to look.
            yield from self._placed[:_SHOWN]
            if len(self._placed) > _SHOWN:
                yield Fault(None, f"… and {len(self._placed) - _SHOWN:,} more places beyond these")
            if not self._placed and self._differing:
                yield Fault(
                    None,
                    f"among events {self._sound + 1:,} to {self._differing[0].size:,}, between two "
                    f"checkpoints: not what was recorded",
                )
        placed = {fault.position for fault in self._placed if not sound}
        yield from (fault for fault in self._contents if fault.position not in placed)
