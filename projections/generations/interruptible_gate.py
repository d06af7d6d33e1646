"""A gate: many questions at once, or one switch alone, which does not wait for long questions."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

_NUDGE_SECONDS: Final = 0.005


class Gate:
    """Lets questions through until it is shut; whoever shuts it interrupts those inside."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._shut = False

    @property
    def shut(self) -> bool:
        """Whether those inside are being interrupted."""
        return self._shut

    @contextmanager
    def open(self) -> Iterator[None]:
        """Be inside for the block; wait while the gate is shut."""
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
        """Be alone for the block: nobody enters, and those inside are interrupted until they leave.

        For one thread at a time.
        """
        with self._changed:
            self._shut = True
            while self._inside:
                # Again and again: the first one may find a question between two statements.
                interrupt()
                self._changed.wait(_NUDGE_SECONDS)
        try:
            yield
        finally:
            with self._changed:
                self._shut = False
                self._changed.notify_all()
