"""A turn: one thread at a time projects, and who waits for what it does need not have one too."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Turn:
    """Given to one thread at a time, in no order."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._taken = False

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Have the turn for the block."""
        with self.unless(lambda: False):
            yield

    @contextmanager
    def unless(self, done: Callable[[], bool]) -> Iterator[bool]:
        """Have the turn for the block, and give True; False, and no turn, once it is done.

        `done` is asked between turns, and must not wait.
        """
        # Not a lock: of many that wait for one batch, each would have to get the lock, one after
        # the other, and before some of them somebody who begins the next batch.
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
