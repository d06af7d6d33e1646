"""The price table: how models are recognized, and dated prices for each unit of their usage."""

import csv
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, get_args

from runledger.errors import InvalidArgument
from runledger.prices.money import pico_per_token

TABLES: Final = Path(__file__).with_name("tables")
OPENING: Final = "genai-prices-0.2.3"
"""The table that every ledger begins with. It makes rows, so it stays what it is for ever."""
SHIPPED: Final = "genai-prices-0.2.3"
"""The newest table of the package, which `prices update` adopts."""
Unit = Literal["input", "cache_read", "cache_write", "cache_write_1h", "output", "reasoning"]
UNITS: Final[tuple[Unit, ...]] = get_args(Unit)
"""What has a price: input is what no cache read or wrote; cache_write is kept for five minutes."""


class Pattern(NamedTuple):
    """A way to recognize a model of a provider; `fallback` names another provider's list."""

    provider: str
    kind: str
    pattern: str
    model: str


class Price(NamedTuple):
    """A price of one unit, in US dollars per million tokens.

    It is valid from the day `valid_from` up to `valid_to`, exclusive (UTC, YYYY-MM-DD), at times of
    the day from `time_from` up to `time_to` (UTC, HH:MM), for calls with this service tier and with
    `input_from` or more tokens of input. An empty text is no limit.
    """

    provider: str
    model: str
    valid_from: str
    valid_to: str
    time_from: str
    time_to: str
    service_tier: str
    unit: str
    price: str
    input_from: int = 0

    @property
    def row_id(self) -> str:
        """The model and the day from which the price is valid, as a cost names its price."""
        return f"{self.provider}/{self.model}@{self.valid_from or 'ever'}"


class PriceTable:
    """A table: patterns in their order, and prices.

    Two tables with equal rows have equal digests.
    """

    def __init__(
        self, patterns: Iterable[Pattern], prices: Iterable[Price], dated: str, source: str
    ) -> None:
        self.patterns = tuple(patterns)
        self.prices = tuple(prices)
        self.dated = dated
        self.source = source

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all rows."""
        return sha256(repr((self.patterns, self.prices)).encode()).hexdigest()

    @cached_property
    def providers(self) -> frozenset[str]:
        """The providers that have a list."""
        return frozenset(self.by_provider)

    @cached_property
    def by_provider(self) -> Mapping[str, Sequence[Pattern]]:
        """The patterns of each provider, in their order."""
        found: dict[str, list[Pattern]] = {}
        for pattern in self.patterns:
            found.setdefault(pattern.provider, []).append(pattern)
        return found

    @cached_property
    def by_model(self) -> Mapping[tuple[str, str], Sequence[Price]]:
        """The prices of each (provider, model)."""
        found: dict[tuple[str, str], list[Price]] = {}
        for price in self.prices:
            found.setdefault((price.provider, price.model), []).append(price)
        return found

    def packed(self) -> dict[str, Any]:
        """Return the table as JSON values, as an event holds it."""
        return {
            "dated": self.dated,
            "source": self.source,
            "patterns": [list(row) for row in self.patterns],
            "prices": [list(row) for row in self.prices],
        }


def unpacked(table: Mapping[str, Any]) -> PriceTable:
    """Return the table that an event holds.

    table: what `PriceTable.packed` returned, possibly from JSON.
    """
    return PriceTable(
        (Pattern._make(row) for row in table["patterns"]),
        (Price._make(row) for row in table["prices"]),
        table["dated"],
        table["source"],
    )


def with_own(table: PriceTable, own: Sequence[Price]) -> PriceTable:
    """Return a table that also knows the models of an organization's own prices, by their names.

    table: the shipped one. own: the organization's prices; they are not among its `prices`.
    """
    models = dict.fromkeys((row.provider, row.model) for row in reversed(own))
    named = [Pattern(provider, "equals", model.lower(), model) for provider, model in models]
    return PriceTable((*named, *table.patterns), table.prices, table.dated, table.source)


def price_row(fields: Mapping[str, str]) -> Price:
    """Return a row of a file of prices.

    fields: the columns by name, as text; a missing one is empty.

    Raises:
        InvalidArgument: for an unknown unit, or a price that is none.
    """
    values = {name: fields.get(name) or "" for name in Price._fields}
    start = values.pop("input_from") or "0"
    if values["unit"] not in UNITS:
        raise InvalidArgument(
            f"unit: expected one of {', '.join(UNITS)}, found {values['unit']!r:.40}"
        )
    if not start.isdigit():
        raise InvalidArgument(f"input_from: expected a number of tokens, found {start!r:.40}")
    pico_per_token(values["price"])
    return Price._make([*values.values(), int(start)])


@cache
def opening() -> PriceTable:
    """Return the table that every ledger begins with."""
    return _read(OPENING)


@cache
def shipped() -> PriceTable:
    """Return the newest table of the package; see its source.toml and LICENSE."""
    return opening() if SHIPPED == OPENING else _read(SHIPPED)


def _read(name: str) -> PriceTable:
    folder = TABLES / name
    about = tomllib.loads((folder / "source.toml").read_text(encoding="utf-8"))
    with (folder / "models.csv").open(encoding="utf-8", newline="") as models:
        rows = csv.reader(models)
        next(rows)
        patterns = [Pattern._make(row) for row in rows]
    with (folder / "prices.csv").open(encoding="utf-8", newline="") as lines:
        rows = csv.reader(lines)
        next(rows)
        prices = [Price._make([*row[:-1], int(row[-1])]) for row in rows]
    source = f"{about['source']} {about['version']}"
    return PriceTable(patterns, prices, about["dated"], source)
