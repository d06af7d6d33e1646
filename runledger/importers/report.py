"""What an import tells at its end: how much went in, and what was refused, where and why."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

MAX_REFUSALS: Final = 1_000
"""Refusals kept with place and reason; more are counted."""

Advance = Callable[[int], None]
"""Called with the number of bytes of the files that were read since the last call."""


class Refusal(NamedTuple):
    """Something that did not go in."""

    place: str
    reason: str


@dataclass(slots=True)
class ImportReport:
    """Counts of one import; `unit` is what is counted, `events` is what was appended for it.

    `extended` were there and got something new; `not_understood` counts, by kind, what the source
    holds and the importer has no meaning for; `left_out` counts, by reason, the numbers that are
    not added because they are counted elsewhere.
    """

    unit: str
    recorded: int = 0
    extended: int = 0
    unchanged: int = 0
    refused: int = 0
    events: int = 0
    refusals: list[Refusal] = field(default_factory=list)
    not_understood: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)

    def refuse(self, place: str, reason: object) -> None:
        """Count and keep a refusal."""
        self.refused += 1
        if len(self.refusals) < MAX_REFUSALS:
            self.refusals.append(Refusal(place, str(reason)))
