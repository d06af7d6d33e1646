"""The records of prices: what a model costs, and how that changed."""

from datetime import date, datetime
from decimal import Decimal
from typing import Literal

from runledger.records import Record


class PriceChange(Record):
    """An event about prices: a table that was adopted, prices that were listed, or their
    application to earlier steps from `since` on, as known at the position `known_at`."""

    position: int
    kind: Literal["adopted", "listed", "applied"]
    changed_at: datetime
    changed_by: str | None
    source: str | None = None
    prices: int | None = None
    since: datetime | None = None
    known_at: int | None = None


class ModelPrice(Record):
    """The prices of a model's calls in US dollars for a million tokens; None if there is none.

    They hold from the day `valid_from` up to `valid_to`, at times of the day from `time_from` up to
    `time_to` (UTC; ends are exclusive, None is no limit), and for calls with `input_from` to
    `input_to` tokens of input, both included. `price_row` and `flags` are those of a cost.
    """

    provider: str
    model: str
    valid_from: date | None
    valid_to: date | None
    time_from: str | None
    time_to: str | None
    input_from: int
    input_to: int | None
    input: Decimal | None
    cache_read: Decimal | None
    cache_write: Decimal | None
    cache_write_1h: Decimal | None
    output: Decimal | None
    reasoning: Decimal | None
    price_row: str
    flags: list[str]
