"""Leases: a name held for some seconds, renewed by a thread, free again if its holder stops.

Not a lock of the session or of a file: behind a pooler a session is shared with others, a forked
child keeps the socket of its killed parent open, and a process that is stopped (SIGSTOP, a laptop
that sleeps) keeps both for as long as it lives. What a lease cannot give is that its holder does
nothing after it has run out, if it is stopped between looking and acting; so nothing may depend on
it but the order of work.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final, Protocol
from uuid import uuid4

from runledger.errors import StoreError

SECONDS: Final = 10.0
"""How long a lease runs after it was last renewed."""
_RENEWALS: Final = 3
"""How often it is renewed in that time; a renewal that fails is tried again as often once more."""


class LeaseTable(Protocol):
    """Where leases are written: in the store, by its clock."""

    def take_lease(self, name: str, holder: str, seconds: float) -> bool:
        """Write that `holder` has the lease from now on, unless another's still runs."""

    def release_lease(self, name: str, holder: str) -> None:
        """Write that it is free, if `holder` has it."""


class Leases:
    """The leases that one open store holds."""

    def __init__(self, table: LeaseTable) -> None:
        self._table = table
        # When each ends by the monotonic clock, counted from before the lease was asked for.
        self._ends: dict[str, float] = {}

    def holds(self, name: str) -> bool:
        """Say whether the lease still runs, without asking the database."""
        return time.monotonic() < self._ends.get(name, 0.0)

    @contextmanager
    def hold(self, name: str, seconds: float) -> Iterator[bool]:
        """Hold the lease for the block, or give False at once if another holder has it."""
        holder = uuid4().hex
        if not self._take(name, holder, seconds):
            yield False
            return
        done = threading.Event()
        thread = threading.Thread(
            target=self._renew, args=(name, holder, seconds, done), name="runledger-lease"
        )
        # A program that ends without closing the store must not wait for it.
        thread.daemon = True
        thread.start()
        try:
            yield True
        finally:
            done.set()
            thread.join()
            self._ends.pop(name, None)
            with suppress(StoreError):  # it runs out by itself
                self._table.release_lease(name, holder)

    def _take(self, name: str, holder: str, seconds: float) -> bool:
        asked = time.monotonic()
        taken = self._table.take_lease(name, holder, seconds)
        if taken:
            self._ends[name] = asked + seconds
        return taken

    def _renew(self, name: str, holder: str, seconds: float, done: threading.Event) -> None:
        pause = seconds / _RENEWALS
        while not done.wait(pause):
            try:
                if not self._take(name, holder, seconds):
                    # Another has it: this process was stopped for longer than the lease ran.
                    self._ends.pop(name, None)
                    return
                pause = seconds / _RENEWALS
            except StoreError:
                pause = seconds / _RENEWALS**2
