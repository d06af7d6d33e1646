"""A price that an organization lists, as an event holds it."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

_Text = Annotated[str, Field(min_length=1)]


class ListedPrice(BaseModel):
    """A price of an organization, with the fields of runledger.prices.Price."""

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
