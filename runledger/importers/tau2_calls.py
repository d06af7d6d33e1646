"""Tool call ids that are unique within a run, and the calls that returns answer."""

from collections import defaultdict, deque


class CallIds:
    """Hands out ids in the order of the messages.

    Some models number their calls from the start in every turn. The second call of an id becomes
    `<id>~2`, and so on; a return answers the oldest open call of its id.
    """

    def __init__(self) -> None:
        self._given: set[str] = set()
        self._open: defaultdict[str, deque[str]] = defaultdict(deque)
        self._steps: dict[str, str | None] = {}

    def call(self, original: str, step_id: str | None) -> str:
        """Return the id of a call that the source names `original`."""
        unique, number = original or "call", 1
        while unique in self._given:
            number += 1
            unique = f"{original or 'call'}~{number}"
        self._given.add(unique)
        self._open[original].append(unique)
        self._steps[unique] = step_id
        return unique

    def answered(self, original: str) -> str:
        """Return the id of the call that a return with this id answers."""
        waiting = self._open[original]
        return waiting.popleft() if waiting else original or "call"

    def step_of(self, unique: str) -> str | None:
        """Return the step that made the call."""
        return self._steps.get(unique)
