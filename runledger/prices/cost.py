"""The cost of one call: tokens of each bucket times their price, in whole pico-dollars."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
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
    cell = next((cell for cell in prices if _holds(cell, at, tokens.whole_input)), None)
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


def _holds(cell: Cell, at: datetime, whole_input: int) -> bool:
    utc = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    day, minute = utc.date().isoformat(), utc.hour * 60 + utc.minute
    return (
        cell.valid_from <= day < cell.valid_to
        and cell.minute_from <= minute < cell.minute_to
        and cell.input_from <= whole_input <= cell.input_to
    )
