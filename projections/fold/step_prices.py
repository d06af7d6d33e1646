"""The prices of the models that a batch's steps name, as a table for the SQL that folds costs.

Names find their prices by rules that SQL has no words for. So Python looks each name up once, and
the SQL of every batch joins the steps with what was found.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from projections.read_models.buckets import beside, for_each_bucket
from runledger.events import PricesAdopted, PricesListed
from runledger.prices import Cell, Named, Price, PriceTable, cells, resolve
from runledger.prices.cells import HOUR_AS_WRITE, ONLY_WITH, READ_AS_INPUT, WRITE_AS_INPUT
from runledger.prices.resolution import REVISION
from runledger.prices.table import OPENING, opening, unpacked, with_own
from runledger.sql_file import parse
from runledger.usage import COUNTED

_FILE: Final = Path(__file__).with_name("step_prices.sql")
SQL: Final = {
    found.name: found.sql for found in parse(for_each_bucket(_FILE.read_text(encoding="utf-8")))
}
TABLE: Final = "step_prices"
REVISIONS: Final = (OPENING, REVISION, sorted(SQL.items()))
"""What decides the prices of a step beside the log and the SQL of read models."""
_END: Final = 2**63 - 1
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


class _Known(NamedTuple):
    """The prices that steps of an organization know, from one position up to the next list."""

    first: int
    last: int
    table: PriceTable
    own: tuple[Price, ...]


class StepPrices:
    """Fills the table `step_prices`; for one connection, and one thread at a time."""

    def __init__(self) -> None:
        self._kept = True
        self._names: set[_Name] = set()
        self._lists: list[tuple[int, str | None, str]] | None = None
        self._known: dict[str, list[_Known]] = {}
        self._tables: dict[int, PriceTable] = {}

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
            self._lists = db.execute(SQL["lists"]).fetchall()
            self._names, self._known, self._tables = set(), {}, {}
        names = [name for name in db.execute(SQL["names"]).fetchall() if name not in self._names]
        self._names.update(names)
        rows = [row for name in names for row in self._rows(name)]
        if rows:
            columns = zip(*rows, strict=True)
            db.execute(SQL["add"], dict(zip(_COLUMNS, map(list, columns), strict=True)))

    def _rows(self, name: _Name) -> Iterator[tuple[Any, ...]]:
        organization, provider, model, requested, tier = name
        for known in self._of(organization):
            found = resolve(known.table, Named(provider or None, model or None, requested or None))
            if found is None:
                continue
            key = (found.provider, found.model)
            own = [row for row in known.own if (row.provider, row.model) == key]
            listed = known.table.by_model.get(key, ())
            for cell in cells(listed, tier, found.flags, own):
                rates = _rates(cell)
                always = ", ".join(flag for flag in cell.flags if flag not in ONLY_WITH)
                sometimes = (_FLAGS.get(bucket) for bucket in COUNTED)
                yield (
                    *(*name, known.first, known.last, *cell[:6]),
                    *(rates.get(bucket) for bucket in COUNTED),
                    *(flag if flag in cell.flags else None for flag in sometimes),
                    *(cell.price_row, always),
                )

    def _of(self, organization: str) -> list[_Known]:
        """Return what steps of an organization know, in the order of positions."""
        if organization not in self._known:
            self._known[organization] = list(self._epochs(organization))
        return self._known[organization]

    def _epochs(self, organization: str) -> Iterator[_Known]:
        base, first = opening(), 0
        own: tuple[Price, ...] = ()
        for position, of, content in self._lists or ():
            if of not in (None, organization):
                continue
            yield self._epoch(first, position, base, own)
            first = position
            if of is None:
                base = self._table(position, content)
            else:
                own = (*own, *map(_price, json.loads(content)))
        yield self._epoch(first, _END, base, own)

    def _epoch(self, first: int, last: int, base: PriceTable, own: tuple[Price, ...]) -> _Known:
        return _Known(first, last, with_own(base, own) if own else base, own)

    def _table(self, position: int, content: str) -> PriceTable:
        if position not in self._tables:
            self._tables[position] = unpacked(json.loads(content))
        return self._tables[position]


def _price(row: Mapping[str, Any]) -> Price:
    return Price(**row)
