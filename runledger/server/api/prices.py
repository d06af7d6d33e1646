"""Prices over HTTP: what is known of a model, and own prices of an organization."""

from datetime import datetime
from functools import partial
from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, Field

from projections.compare.repricing import Repriced
from runledger.ledger.prices import MOST_PRICES
from runledger.price_records import ModelPrice, PriceChange
from runledger.prices.listed import ListedPrice
from runledger.server.api.api_route import api_route
from runledger.server.call import Call
from runledger.server.route import Strict


class ModelPrices(Strict):
    """The model and the provider, as a step reports them."""

    model: str
    provider: str | None = None
    service_tier: str | None = None
    at: datetime | None = None


class OwnPrices(Strict):
    """Prices to be listed, each with the fields of a listed price."""

    prices: Annotated[list[dict[str, str | int]], Field(max_length=MOST_PRICES)]


class Application(Strict):
    """See Operator.reprice."""

    since: AwareDatetime | None = None
    known_at: Annotated[int, Field(strict=True, ge=0)] | Literal["now", "recorded"] = "now"
    dry_run: bool = False


async def get_model_prices(call: Call[ModelPrices, None]) -> list[ModelPrice]:
    """Return the prices by which the next steps of a model will be priced."""
    asked = call.query
    return await call.ledger.get_model_prices(
        asked.model,
        provider=asked.provider,
        service_tier=asked.service_tier,
        at=asked.at,
        actor=call.actor,
    )


async def list_price_changes(call: Call[Strict, None]) -> list[PriceChange]:
    """Return the events about prices that concern the organization."""
    return await call.ledger.list_price_changes(actor=call.actor)


async def list_own_prices(call: Call[Strict, None]) -> list[ListedPrice]:
    """Return the own prices of the organization that are in force."""
    return await call.ledger.list_own_prices(actor=call.actor)


async def set_prices(call: Call[Strict, OwnPrices]) -> PriceChange:
    """List own prices of the organization, by which steps from now on are priced."""
    return await call.ledger.set_prices(call.body.prices, actor=call.actor)


async def adopt_prices(call: Call[Strict, None]) -> PriceChange | None:
    """Adopt the table of the server's version for all organizations; null if it is adopted."""
    call.caller.expect_every_organization("the table of prices")
    return await call.ledger.operator.adopt_prices()


async def reprice(call: Call[Strict, Application]) -> Repriced:
    """Price recorded steps again, and return what that changes."""
    call.caller.expect_every_organization("the costs of recorded steps")
    asked = call.body
    return await call.ledger.operator.reprice(
        since=asked.since, known_at=asked.known_at, dry_run=asked.dry_run
    )


_route = partial(api_route, errors=(400, 403, 404, 409, 422, 503))


ROUTES: Final = (
    _route("GET", "prices", get_model_prices, list[ModelPrice], query=ModelPrices),
    _route("GET", "prices/changes", list_price_changes, list[PriceChange]),
    _route("GET", "prices/own", list_own_prices, list[ListedPrice]),
    # A key of an agent loop reports what a run used, and not what it costs.
    _route("POST", "prices/own", set_prices, PriceChange, body=OwnPrices, scope="operate"),
    _route("POST", "prices/adopted", adopt_prices, PriceChange | None, scope="operate"),
    _route("POST", "prices/applied", reprice, Repriced, body=Application, scope="operate"),
)
