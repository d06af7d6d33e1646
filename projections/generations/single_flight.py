"""Single flight: one thread projects; callers that wait for the same events share its result."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class SingleFlight:
    """A slot that one thread at a time has, in no order."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._taken = False

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the slot for the block."""
        with self.unless_done(lambda: False):
            yield

    @contextmanager
    def unless_done(self, done: Callable[[], bool]) -> Iterator[bool]:
        """Hold the slot for the block and give True; give False without it once the work is done.

        `done` is asked each time the slot is free, and must not wait.
        """
        # A lock would not do: the threads that wait for one batch would each have to acquire it in
        # turn, and a thread that begins the next batch could acquire it before them.
        with self._changed:
            self._changed.wait_for(lambda: not self._taken or done())
            mine = not done()
            if mine:
                self._taken = True
        try:
            yield mine
        finally:
            if mine:
                with self._changed:
                    self._taken = False
                    self._changed.notify_all()
