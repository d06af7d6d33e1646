"""The prices that a step knows: what was listed before its position, for its organization."""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from runledger.prices.cells import Cell, cells
from runledger.prices.resolution import Named, Resolved, resolve
from runledger.prices.table import Price, PriceTable, opening, with_own

END: Final = 2**63 - 1
"""A position beyond every log."""


class PriceList(NamedTuple):
    """A change of prices at a position: a `table` for all, or `own` prices of one organization."""

    position: int
    organization: str | None
    table: PriceTable | None = None
    own: tuple[Price, ...] = ()


class ModelPrices(NamedTuple):
    """A model of the table, and the cells of its prices for calls of one service tier."""

    resolved: Resolved
    cells: list[Cell]


class Known(NamedTuple):
    """What is known from the position `first` up to `last`, exclusive: a table and own prices."""

    first: int
    last: int
    table: PriceTable
    own: tuple[Price, ...]

    def prices(self, named: Named, service_tier: str | None) -> ModelPrices | None:
        """Return the prices of the model that the names mean; None if it is not known.

        named: as a step reported them. service_tier: as reported; None if none was.
        """
        found = resolve(self.table, named)
        if found is None:
            return None
        key = (found.provider, found.model)
        own = [row for row in self.own if (row.provider, row.model) == key]
        listed = self.table.by_model.get(key, ())
        return ModelPrices(found, cells(listed, service_tier, found.flags, own))


def known_prices(lists: Iterable[PriceList], organization: str) -> Iterator[Known]:
    """Yield what steps of an organization know, from the beginning of the log to its end.

    lists: all changes of prices, by their positions. organization: own prices of others are not
        known to it.
    """
    base, first = opening(), 0
    own: tuple[Price, ...] = ()
    for change in lists:
        if change.organization not in (None, organization):
            continue
        yield _known(first, change.position, base, own)
        first = change.position
        if change.table is not None:
            base = change.table
        own += change.own
    yield _known(first, END, base, own)


def _known(first: int, last: int, base: PriceTable, own: tuple[Price, ...]) -> Known:
    return Known(first, last, with_own(base, own) if own else base, own)
