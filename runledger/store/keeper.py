"""The keeper: makes the tiles of what was appended, in one process at a time."""

import logging
from threading import Event, Thread
from typing import Final

from runledger.errors import LedgerError
from runledger.store.protocol import Store
from runledger.store.tiles import WIDTH, tile_of

_LOG: Final = logging.getLogger("runledger.keeper")
NAME: Final = "tiles"
"""The leadership of the keeper."""
EVENTS: Final = 4_096
"""Kept per pass: with the interpreter's lock that is about a fiftieth of a processor."""
_EVERY_SECONDS: Final = 1.0


def keep(store: Store, most: int, rest: bool = False) -> int:
    """Make the tiles that are missing, of `most` events about; return how many events were kept.

    With `rest`, the newest events too, which do not fill a tile. Two keepers by mistake do no
    harm: a tile is stored once, and grows only from what it was. Raises StoreUnavailable, and
    LogDamaged if the events of a tile that was begun are no longer what was kept.
    """
    end = store.tiles_end()
    if store.head() - end.last < (1 if rest else WIDTH - end.size % WIDTH):
        return 0
    kept = 0
    with store.leadership(NAME) as mine:
        while mine and kept < most:
            end = store.tiles_end()
            number, done = divmod(end.size, WIDTH)
            begun = store.tile(number) if done else None
            rows = store.read_log(begun.first - 1 if begun else end.last, WIDTH, contents=True)
            if len(rows) <= done or (len(rows) < WIDTH and not rest):
                break
            if not store.put_tile(tile_of(number, rows, rows[0].position <= end.late, begun)):
                break
            kept += len(rows) - done
    return kept


class Keeper:
    """A thread that keeps what was appended, once a second; it goes with the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._ended = Event()
        self._told = False
        self._head = -1
        self._thread = Thread(target=self._run, name="runledger-keeper", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._ended.wait(_EVERY_SECONDS):
            try:
                # A log that grows has its newest events in no tile: rewriting one that is not full
                # costs as much as a whole one, so the rest waits until nothing is appended.
                head, before = self._store.head(), self._head
                keep(self._store, EVENTS, rest=head == before)
                self._head = head
                self._told = False
            except LedgerError as e:
                # Appends go on; what was not kept now is kept by the next pass.
                if not self._told:
                    _LOG.warning("the log is not kept in tiles at the moment: %s", e)
                self._told = True

    def close(self) -> None:
        """Stop after the pass that is under way."""
        self._ended.set()
        self._thread.join()
