"""Where a replay reads the log from, other than the store."""

from collections.abc import Callable
from typing import NamedTuple

from runledger.store import Store
from runledger.store.protocol import LogReader


class LogSource(NamedTuple):
    """An archive, with events up to `head`; what is beyond is read from the store.

    `expect_of` raises ArchiveError where it is the archive of another log than a store's.
    """

    name: str
    reader: Callable[[], LogReader]
    head: int
    expect_of: Callable[[Store], None]
