"""A shared/exclusive lock: queries share it, a switch has it alone and interrupts long queries."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

_NUDGE_SECONDS: Final = 0.005


class Gate:
    """A lock that many queries share, and that a switch acquires exclusively by interrupting
    them."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._shut = False

    @property
    def shut(self) -> bool:
        """Whether the queries that share the lock are being interrupted."""
        return self._shut

    @contextmanager
    def open(self) -> Iterator[None]:
        """Share the lock for the block; wait while another thread has it exclusively."""
        with self._changed:
            while self._shut:
                self._changed.wait()
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    @contextmanager
    def exclusive(self, interrupt: Callable[[], None]) -> Iterator[None]:
        """Acquire the lock exclusively for the block; sharing queries are interrupted until they
        end.

        For one thread at a time.
        """
        with self._changed:
            self._shut = True
            while self._inside:
                # Repeated, because the first interruption may reach a query between two statements.
                interrupt()
                self._changed.wait(_NUDGE_SECONDS)
        try:
            yield
        finally:
            with self._changed:
                self._shut = False
                self._changed.notify_all()
