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


def keep(store: Store, most: int) -> int:
    """Make the tiles that are missing, of `most` events about; return how many events were kept.

    Only whole tiles are made, so up to 255 of the newest events have none. Two keepers by mistake
    do no harm: a tile is stored once. Raises StoreUnavailable.
    """
    number, after, late = store.tiles_end()
    if store.head() - after < WIDTH:
        return 0
    kept = 0
    with store.leadership(NAME) as mine:
        while mine and kept < most:
            rows = store.read_log(after, WIDTH, contents=True)
            if len(rows) < WIDTH:
                break
            store.put_tile(tile_of(number, rows, rows[0].position <= late))
            number, after, kept = number + 1, rows[-1].position, kept + WIDTH
    return kept


class Keeper:
    """A thread that keeps what was appended, once a second; it goes with the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._ended = Event()
        self._told = False
        self._thread = Thread(target=self._run, name="runledger-keeper", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._ended.wait(_EVERY_SECONDS):
            try:
                keep(self._store, EVENTS)
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
