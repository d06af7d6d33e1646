"""A row of the table: one figure of ours, beside a peer's, under a limit, against a mark."""

import operator
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, NamedTuple

_HOLDS: Final[dict[str, Callable[[float, float], bool]]] = {"≥": operator.ge, "≤": operator.le}


class Figure(NamedTuple):
    """Somebody else's figure, in the unit of the row."""

    name: str
    value: float


@dataclass(frozen=True, slots=True)
class Mark:
    """The target: `relation` `value`, for the ratio to the peer or of our figure itself."""

    relation: Literal["≥", "≤"]
    value: float
    of: Literal["ratio", "ours"] = "ratio"

    def met(self, ours: float, ratio: float | None) -> bool | None:
        """Say whether it is reached; None where there is nothing to compare."""
        found = ours if self.of == "ours" else ratio
        return None if found is None else _HOLDS[self.relation](found, self.value)

    def text(self, unit: str) -> str:
        """Return it as the table shows it."""
        return f"{self.relation} {self.value:g} {unit if self.of == 'ours' else 'x'}"


@dataclass(frozen=True, slots=True)
class Row:
    """`ratio` is ours over the peer's: the median over the rounds, else that of the two figures."""

    figure: str
    ours: float
    unit: str
    peer: Figure | None = None
    limit: Figure | None = None
    ratio: float | None = None
    mark: Mark | None = None
    note: str = ""

    @property
    def compared(self) -> float | None:
        """Return the ratio to the peer."""
        if self.ratio is None and self.peer is not None and self.peer.value:
            return self.ours / self.peer.value
        return self.ratio

    @property
    def met(self) -> bool | None:
        """Return whether the mark is reached, None without one."""
        return None if self.mark is None else self.mark.met(self.ours, self.compared)

    def as_json(self, question: str) -> dict[str, Any]:
        """Return the row as JSON has it."""
        return {
            "question": question,
            **asdict(self),
            "peer": self.peer and self.peer._asdict(),
            "limit": self.limit and self.limit._asdict(),
            "ratio": self.compared,
            "mark": self.mark and self.mark.text(self.unit),
            "met": self.met,
        }
