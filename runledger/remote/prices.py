"""The prices of a remote ledger."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from pydantic import BaseModel, TypeAdapter

from runledger.errors import InvalidArgument
from runledger.price_records import ModelPrice, PriceChange
from runledger.prices.listed import ListedPrice
from runledger.remote.part import RemotePart
from runledger.run import Actor
from runledger.run.envelope import optional_in_utc

_MODEL: Final = TypeAdapter(list[ModelPrice])
_CHANGE: Final = TypeAdapter(PriceChange)
_CHANGES: Final = TypeAdapter(list[PriceChange])
_OWN: Final = TypeAdapter(list[ListedPrice])


class RemotePrices(RemotePart):
    """The methods of runledger.ledger.prices; see there."""

    async def list_price_changes(self, *, actor: Actor | None = None) -> list[PriceChange]:
        """Return the events about prices that concern the organization."""
        return await self._connection.ask("prices/changes", _CHANGES, actor=actor)

    async def get_model_prices(
        self,
        model: str,
        *,
        provider: str | None = None,
        service_tier: str | None = None,
        at: datetime | None = None,
        actor: Actor | None = None,
    ) -> list[ModelPrice]:
        """Return the prices by which the next steps of a model will be priced."""
        return await self._connection.ask(
            "prices",
            _MODEL,
            actor=actor,
            model=model,
            provider=provider,
            service_tier=service_tier,
            at=optional_in_utc("at", at),
        )

    async def set_prices(
        self, prices: Sequence[ListedPrice | Mapping[str, Any]], *, actor: Actor | None = None
    ) -> PriceChange:
        """List own prices of the organization."""
        if isinstance(prices, str | Mapping):
            raise InvalidArgument("prices: expected a list of prices")
        rows = [row.model_dump() if isinstance(row, BaseModel) else dict(row) for row in prices]
        body = {"prices": rows}
        return await self._connection.command("POST", "prices/own", _CHANGE, body, actor=actor)

    async def list_own_prices(self, *, actor: Actor | None = None) -> list[ListedPrice]:
        """Return the own prices of the organization that are in force."""
        return await self._connection.ask("prices/own", _OWN, actor=actor)
