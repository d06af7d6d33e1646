"""Who writes to a file in this process: DuckDB keeps other processes out, and nobody else."""

import threading
from pathlib import Path
from typing import Final
from weakref import WeakValueDictionary

from runledger.errors import ReadModelsLocked

_HELD: Final[WeakValueDictionary[str, "WriterLock"]] = WeakValueDictionary()
_HOLDING: Final = threading.Lock()


class WriterLock:
    """The only writer of a file within this process, until it is released or forgotten.

    DuckDB gives a process that opens a file twice one database: two engines would project every
    event into it twice, and a switch would leave one of them behind at the old file.
    """

    def __init__(self, path: Path) -> None:
        self._name = str(path.resolve())
        with _HOLDING:
            expect_free(path)
            _HELD[self._name] = self

    def release(self) -> None:
        """Let others hold the file."""
        with _HOLDING:
            if _HELD.get(self._name) is self:
                del _HELD[self._name]


def expect_free(path: Path) -> None:
    """Raise ReadModelsLocked where something in this process writes to the file."""
    if str(path.resolve()) in _HELD:
        raise ReadModelsLocked(
            f"read models {str(path)!r}: expected nothing else in this process to hold the file, "
            f"found another ledger or a replay; use the ledger that is open"
        )
