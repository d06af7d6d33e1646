"""A price that an organization lists, as an event holds it."""

import re
from datetime import date
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from runledger.errors import InvalidArgument
from runledger.prices.money import pico_per_token
from runledger.prices.table import UNITS, Price

_Text = Annotated[str, Field(min_length=1)]
_CLOCK: Final = re.compile(r"([01]\d|2[0-3]):[0-5]\d")


class ListedPrice(BaseModel):
    """A price of an organization, with the fields of runledger.prices.Price.

    Wrong texts are refused here: in the log, they would stop every fold of costs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)
    provider: _Text
    model: _Text
    valid_from: str = ""
    valid_to: str = ""
    time_from: str = ""
    time_to: str = ""
    service_tier: str = ""
    unit: _Text
    price: _Text
    input_from: Annotated[int, Field(strict=True, ge=0, le=2**63 - 1)] = 0

    @property
    def row(self) -> Price:
        """The same as a row of a table."""
        return Price._make(getattr(self, name) for name in Price._fields)

    @model_validator(mode="after")
    def _can_be_a_price(self) -> Self:
        if self.unit not in UNITS:
            raise ValueError(f"unit: expected one of {', '.join(UNITS)}, found {self.unit!r:.40}")
        try:
            pico_per_token(self.price)
        except InvalidArgument as e:
            raise ValueError(str(e)) from e
        for name in ("valid_from", "valid_to"):
            _expect_day(name, getattr(self, name))
        if self.valid_from and self.valid_to and self.valid_from >= self.valid_to:
            raise ValueError(
                f"valid_to: expected a day after {self.valid_from}, found {self.valid_to}"
            )
        clocks = (self.time_from, self.time_to)
        if any(clocks) and not all(_CLOCK.fullmatch(clock) for clock in clocks):
            raise ValueError(
                f"time_from, time_to: expected two times of the day as HH:MM, found {clocks}"
            )
        if self.service_tier != self.service_tier.strip().lower():
            raise ValueError(f"service_tier: expected lower case, found {self.service_tier!r:.40}")
        return self


def _expect_day(name: str, text: str) -> None:
    if not text:
        return
    try:
        written_so = date.fromisoformat(text).isoformat() == text
    except ValueError:
        written_so = False
    if not written_so:
        # Days are compared as text, so another way to write one would be another day.
        raise ValueError(f"{name}: expected a day as YYYY-MM-DD, found {text!r:.40}")


def in_force(listed: list[Price]) -> list[Price]:
    """Return the rows that no later one replaces, in the order in which they were listed last.

    listed: rows of one organization, in the order in which they were listed.
    """
    last: dict[Price, Price] = {}
    for row in listed:
        key = row._replace(price="")
        last.pop(key, None)
        last[key] = row
    return list(last.values())
