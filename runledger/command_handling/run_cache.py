"""Folded runs kept in memory, so that a command on a long run does not read its stream again."""

from collections import OrderedDict
from typing import Final

from runledger.run import Run

MAX_ENTRIES: Final = 250_000
"""Steps, messages and receipts over all cached runs: about 250 bytes each, so some 60 MB."""


class RunCache:
    """The most recently used runs, each with the id of its last event.

    An entry may be stale: the store then refuses events that were decided on it.
    """

    def __init__(self, max_entries: int = MAX_ENTRIES) -> None:
        self._runs: OrderedDict[str, tuple[Run, int, str]] = OrderedDict()
        self._entries = 0
        self._max_entries = max_entries

    def get(self, run_id: str) -> Run | None:
        """Return the run as it was last cached."""
        found = self._runs.get(run_id)
        if found is None:
            return None
        self._runs.move_to_end(run_id)
        return found[0]

    def last_event(self, run_id: str) -> str:
        """Return the id of the last event that the run was folded from, "" for an unknown run."""
        found = self._runs.get(run_id)
        return found[2] if found else ""

    def put(self, run: Run, last_event: str) -> None:
        """Cache the run, and evict the least recently used ones."""
        size = 10 + len(run.steps) + len(run.messages) + len(run.receipts)
        known = self._runs.get(run.run_id)
        self._runs[run.run_id] = (run, size, last_event)
        self._runs.move_to_end(run.run_id)
        self._entries += size - (known[1] if known else 0)
        while self._entries > self._max_entries and len(self._runs) > 1:
            _, (_, released, _) = self._runs.popitem(last=False)
            self._entries -= released

    def discard(self, run_id: str) -> None:
        """Evict the run."""
        found = self._runs.pop(run_id, None)
        if found is not None:
            self._entries -= found[1]

    def clear(self) -> None:
        """Evict every run."""
        self._runs.clear()
        self._entries = 0
