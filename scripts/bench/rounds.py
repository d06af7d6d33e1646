"""Measurements taken in turns (A B A B), so that a busy moment of the machine meets both sides."""

from collections.abc import Callable, Mapping, Sequence
from statistics import median, quantiles
from typing import NamedTuple


class Rounds(NamedTuple):
    """The measurements of every side in every round, by the side's name."""

    figures: Mapping[str, Sequence[float]]

    def median(self, side: str) -> float:
        """Return the side's median."""
        return median(self.figures[side])

    def ratio(self, side: str, other: str) -> float:
        """Return the median over the rounds of side/other: both were measured close together."""
        pairs = zip(self.figures[side], self.figures[other], strict=True)
        return median(ours / theirs for ours, theirs in pairs)


def alternate(count: int, sides: Mapping[str, Callable[[], float]]) -> Rounds:
    """Measure every side once a round, in the order given, `count` rounds."""
    figures: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(count):
        for name, measure in sides.items():
            figures[name].append(measure())
    return Rounds(figures)


def percentile(values: Sequence[float], share: int) -> float:
    """Return a percentile (1 to 99) by linear interpolation."""
    if len(values) == 1:
        return values[0]
    return quantiles(values, n=100, method="inclusive")[share - 1]
