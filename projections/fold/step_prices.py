"""The prices of the models that a batch's steps name, as a table for the SQL that folds costs.

Names find their prices by rules that SQL has no words for. So Python looks each name up once, and
the SQL of every batch joins the steps with what was found.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from projections.read_models.buckets import beside, for_each_bucket
from runledger.events import PricesAdopted, PricesListed
from runledger.prices import Cell, Named, Price
from runledger.prices.cells import HOUR_AS_WRITE, ONLY_WITH, READ_AS_INPUT, WRITE_AS_INPUT
from runledger.prices.known import Known, PriceList, known_prices
from runledger.prices.resolution import REVISION
from runledger.prices.table import OPENING, unpacked
from runledger.sql_file import parse
from runledger.usage import COUNTED

_FILE: Final = Path(__file__).with_name("step_prices.sql")
SQL: Final = {
    found.name: found.sql for found in parse(for_each_bucket(_FILE.read_text(encoding="utf-8")))
}
REVISIONS: Final = (OPENING, REVISION, sorted(SQL.items()))
"""What decides the prices of a step beside the log and the SQL of read models."""
_LISTS: Final = frozenset({PricesAdopted.topic, PricesListed.topic})

_Name = tuple[str, str, str, str, str]
_NAME: Final = ("organization", "provider", "named_model", "requested", "tier")
_KNOWN: Final = ("known_from", "known_to")
_PLACE: Final = Cell._fields[:6]
_FLAGS: Final = {
    "cache_read_tokens": READ_AS_INPUT,
    "cache_write_tokens": WRITE_AS_INPUT,
    "cache_write_1h_tokens": HOUR_AS_WRITE,
}
_COLUMNS: Final = (
    *(*_NAME, *_KNOWN, *_PLACE, *COUNTED),
    *(beside(bucket, "flag") for bucket in COUNTED),
    *("price_row", "flags"),
)


def _rates(cell: Cell) -> Mapping[str, int | None]:
    """Return the price of a token of each bucket; those kept for an hour are among all written."""
    both = cell.cache_write is not None and cell.cache_write_1h is not None
    return {
        "fresh_input_tokens": cell.input,
        "cache_read_tokens": cell.cache_read,
        "cache_write_tokens": cell.cache_write,
        "cache_write_1h_tokens": (cell.cache_write_1h or 0) - (cell.cache_write or 0)
        if both
        else None,
        "output_tokens": cell.output,
        "reasoning_tokens": cell.reasoning,
    }


class StepPrices:
    """Fills the table `step_prices`; for one connection, and one thread at a time."""

    def __init__(self) -> None:
        self._kept = True
        self._names: set[_Name] = set()
        self._lists: list[PriceList] | None = None
        self._known: dict[str, list[Known]] = {}

    def begin(self, topics: frozenset[str]) -> None:
        """Begin a transaction; look everything up again if the last one failed, or prices change.

        topics: those of its events.
        """
        if not self._kept or not topics.isdisjoint(_LISTS):
            self._lists = None
        self._kept = False

    def keep(self) -> None:
        """Keep what was looked up: the transaction was committed."""
        self._kept = True

    def look_up(self, db: Any) -> None:
        """Add the prices of names that were not looked up yet.

        db: the connection that folds, in its transaction; `used_steps` are the steps to be priced.
        """
        if self._lists is None:
            db.execute(SQL["make"])
            db.execute(SQL["pico"])
            self._lists = [_list(*row) for row in db.execute(SQL["lists"]).fetchall()]
            self._names, self._known = set(), {}
        names = [name for name in db.execute(SQL["names"]).fetchall() if name not in self._names]
        self._names.update(names)
        rows = [row for name in names for row in self._rows(name)]
        if rows:
            columns = zip(*rows, strict=True)
            db.execute(SQL["add"], dict(zip(_COLUMNS, map(list, columns), strict=True)))

    def _rows(self, name: _Name) -> Iterator[tuple[Any, ...]]:
        organization, provider, model, requested, tier = name
        named = Named(provider or None, model or None, requested or None)
        for known in self._of(organization):
            if (found := known.prices(named, tier)) is None:
                continue
            for cell in found.cells:
                rates = _rates(cell)
                always = ", ".join(flag for flag in cell.flags if flag not in ONLY_WITH)
                sometimes = (_FLAGS.get(bucket) for bucket in COUNTED)
                yield (
                    *(*name, known.first, known.last, *cell[:6]),
                    *(rates.get(bucket) for bucket in COUNTED),
                    *(flag if flag in cell.flags else None for flag in sometimes),
                    *(cell.price_row, always),
                )

    def _of(self, organization: str) -> list[Known]:
        """Return what steps of an organization know, in the order of positions."""
        if organization not in self._known:
            self._known[organization] = list(known_prices(self._lists or (), organization))
        return self._known[organization]


def _list(position: int, organization: str | None, content: str) -> PriceList:
    found = json.loads(content)
    if organization is None:
        return PriceList(position, None, table=unpacked(found))
    return PriceList(position, organization, own=tuple(Price(**row) for row in found))
