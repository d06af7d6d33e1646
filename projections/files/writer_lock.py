"""The lock of a file's writer in this process; DuckDB's own lock excludes only other processes."""

import threading
from pathlib import Path
from typing import Final
from weakref import WeakValueDictionary

from runledger.errors import ReadModelsLocked

_HELD: Final[WeakValueDictionary[str, "WriterLock"]] = WeakValueDictionary()
_HOLDING: Final = threading.Lock()


class WriterLock:
    """A lock that one writer of a file has within this process, until it is released or
    garbage-collected.

    A process that opens a file twice gets the same DuckDB database: two engines would project every
    event into it twice, and after a switch one of them would still use the old file.
    """

    def __init__(self, path: Path) -> None:
        self._name = str(path.resolve())
        with _HOLDING:
            expect_free(path)
            _HELD[self._name] = self

    def release(self) -> None:
        """Release the lock."""
        with _HOLDING:
            if _HELD.get(self._name) is self:
                del _HELD[self._name]


def expect_free(path: Path) -> None:
    """Raise ReadModelsLocked if another part of this process writes to the file."""
    if str(path.resolve()) in _HELD:
        raise ReadModelsLocked(
            f"read models {str(path)!r}: expected nothing else in this process to hold the file, "
            f"found another ledger or a replay; use the ledger that is open"
        )
