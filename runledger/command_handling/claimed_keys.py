"""Idempotency keys that this process has seen, and the run that each of them was for."""

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from runledger.errors import IdempotencyKeyReused

_MOST: Final = 50_000


class ClaimedKeys:
    """Notices a key that comes again for another run, whose events cannot have its receipt.

    A run's own events tell for ever what a key was used for in that run. This covers other runs, as
    long as the process remembers the key.

    Parameters:
        most: how many keys are remembered; the one used longest ago is forgotten first.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._runs: OrderedDict[str, str] = OrderedDict()
        self._most = most

    @contextmanager
    def claim(self, key: str, run_id: str) -> Iterator[None]:
        """Claim a key for a run; if the block raises, a key that is new is free again.

        Parameters:
            key: the digest of the key within its organization.
            run_id: the run that the request is for.

        Raises:
            IdempotencyKeyReused: if the key was used for another run.
        """
        fresh = key not in self._runs
        holder = self._runs.setdefault(key, run_id)
        if holder != run_id:
            raise IdempotencyKeyReused(run_id, holder)
        self._runs.move_to_end(key)
        while len(self._runs) > self._most:
            self._runs.popitem(last=False)
        try:
            yield
        except BaseException:
            # Refused, and nothing recorded: the caller may use it for what it meant. If it was
            # recorded all the same, the run's own events tell.
            if fresh:
                self._runs.pop(key, None)
            raise
