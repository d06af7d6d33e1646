"""The cost of one call: tokens of each bucket times their price, in whole pico-dollars.

Plain Python on whole numbers, by which the SQL that folds costs is checked.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from runledger.prices.cells import ONLY_WITH, Cell
from runledger.prices.table import UNITS, Unit


class Tokens(NamedTuple):
    """The disjoint buckets of a call; None if the provider did not report one.

    `cache_write` is kept for five minutes, `cache_write_1h` for an hour.
    """

    input: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    cache_write_1h: int | None = None
    output: int | None = None
    reasoning: int | None = None

    @property
    def whole_input(self) -> int:
        """All input, which decides the tier of a price."""
        return sum(count or 0 for count in self[:4])


class Cost(NamedTuple):
    """A cost in pico-dollars by unit, and in all; None if no price is known or nothing reported.

    `unpriced` are the tokens that have no price. If `complete` is false, `total` is a lower bound.
    """

    total: int | None
    units: Mapping[Unit, int]
    unpriced: int
    complete: bool
    price_row: str | None
    flags: tuple[str, ...]


def cost(tokens: Tokens, at: datetime, prices: Iterable[Cell]) -> Cost:
    """Return the cost of a call.

    tokens: its buckets. at: when the call began; a time without a zone is UTC. prices: the cells of
    its model and service tier; none if the model is not known.
    """
    size = tokens.whole_input
    fitting = (cell for cell in prices if cell.holds(at))
    cell = next((cell for cell in fitting if cell.input_from <= size <= cell.input_to), None)
    reported = tokens.input is not None and tokens.output is not None
    units: dict[Unit, int] = {}
    unpriced = 0
    for unit, count in zip(UNITS, tokens, strict=True):
        price: int | None = None if cell is None else getattr(cell, unit)
        if price is not None and count is not None:
            units[unit] = count * price
        else:
            unpriced += count or 0
    if cell is None or not units:
        return Cost(None, {}, unpriced, False, None, ())
    flags = tuple(
        flag
        for flag in cell.flags
        if flag not in ONLY_WITH
        or any((getattr(tokens, unit) or 0) > 0 for unit in ONLY_WITH[flag])
    )
    return Cost(
        sum(units.values()), units, unpriced, reported and not unpriced, cell.price_row, flags
    )
