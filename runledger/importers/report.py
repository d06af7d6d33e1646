"""The report of an import: the counts of imported objects, and each refusal with place and
reason."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

MAX_REFUSALS: Final = 1_000
"""Refusals that are stored with place and reason; further ones are only counted."""

Advance = Callable[[int], None]
"""Called with the number of bytes of the files that were read since the last call."""


class Refusal(NamedTuple):
    """A refused object."""

    place: str
    reason: str


@dataclass(slots=True)
class ImportReport:
    """Counts of one import; `unit` names the counted objects, `events` is the number of appended
    events.

    `extended` objects existed and got new events. `not_understood` counts, by kind, records of the
    source that the importer does not map. `left_out` counts, by reason, the numbers that are not
    added because they are counted elsewhere.
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
        """Count and store a refusal."""
        self.refused += 1
        if len(self.refusals) < MAX_REFUSALS:
            self.refusals.append(Refusal(place, str(reason)))
