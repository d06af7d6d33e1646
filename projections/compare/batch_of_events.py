"""The smallest range of events that shows a difference when it is folded in one batch."""

from collections.abc import Callable

Differs = Callable[[int, int], bool]
"""Returns whether two sides differ after the events from a first index up to a second one
(exclusive) were folded in one batch, and all earlier ones one by one."""


def smallest_run(count: int, differs: Differs) -> tuple[int, int] | None:
    """Return the first and last index of a minimal range of events that makes the difference.

    None if all `count` events in one batch make no difference. No event at either end of the range
    can be left out. Each half, quarter and so on is tried, so a stream of 10,000 events takes some
    thirty folds and not 10,000.
    """
    if count < 1 or not differs(0, count):
        return None
    end = _shrunk(count, lambda length: differs(0, length))
    length = _shrunk(end, lambda length: differs(end - length, end))
    return end - length, end - 1


def _shrunk(length: int, holds: Callable[[int], bool]) -> int:
    """Return a length for which a predicate holds, while it does not hold for the next smaller
    one."""
    step = length // 2
    while step:
        while length > step and holds(length - step):
            length -= step
        step //= 2
    return length
