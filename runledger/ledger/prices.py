"""Prices: what is known of a model, and own prices of an organization, which come first."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from pydantic import ValidationError

from runledger.arguments import check_texts
from runledger.command_handling.decided_append import append_decided
from runledger.errors import InvalidArgument, NotFound, describe
from runledger.events import PRICES_STREAM, Event, PricesListed
from runledger.ledger.part import LedgerPart
from runledger.ledger.price_changes import known_now, price_changes
from runledger.price_records import ModelPrice, PriceChange
from runledger.prices import Named
from runledger.prices.cells import END_OF_DAYS, FIRST_DAY, MINUTES, MOST_INPUT, Cell
from runledger.prices.known import Known
from runledger.prices.listed import ListedPrice, in_force
from runledger.prices.money import usd_per_million
from runledger.prices.names import price_list
from runledger.prices.table import UNITS
from runledger.records import Records
from runledger.run import Actor
from runledger.run.envelope import in_utc
from runledger.run.rules import stamped
from runledger.storable import storable
from runledger.store.protocol import StoredEvent

MOST_PRICES: Final = 10_000
"""Own prices in one event; the whole table of the package has fewer."""


class Prices(LedgerPart):
    """Every change of prices is an event: it has an actor and a time, and changes no earlier cost.

    `Operator.reprice` prices earlier steps again.
    """

    async def list_price_changes(self, *, actor: Actor | None = None) -> list[PriceChange]:
        """Return the events about prices that concern the organization, the first one first.

        Parameters:
            actor: acts instead of the ledger's own actor; own prices are of its organization.
        """
        found = price_changes(await self._stored(), self.opened.organization(actor))
        return Records(found)

    async def get_model_prices(
        self,
        model: str,
        *,
        provider: str | None = None,
        service_tier: str | None = None,
        at: datetime | None = None,
        actor: Actor | None = None,
    ) -> list[ModelPrice]:
        """Return the prices by which the next steps of a model will be priced; they never overlap.

        Parameters:
            model: the name, as a step reports it.
            provider: the provider, as a step reports it; by default it follows from the name.
            service_tier: that of the calls, such as "batch"; the standard tier by default.
            at: only the prices at this time, with a time zone; those of all times by default.
            actor: acts instead of the ledger's own actor; own prices are of its organization.

        Raises:
            NotFound: if no price of the model is known.
        """
        check_texts(model=model, provider=provider, service_tier=service_tier)
        moment = None if at is None else in_utc("at", at)
        known = known_now(await self._stored(), self.opened.organization(actor))
        found = known.prices(Named(provider, model), service_tier)
        if found is None or not found.cells:
            where = "" if provider is None else f" at {provider}"
            raise NotFound("price of the model", model, f"its steps{where} have an unknown cost")
        named = {"provider": found.resolved.provider, "model": found.resolved.model}
        return Records(
            ModelPrice(**named, **_shown(cell))
            for cell in found.cells
            if moment is None or cell.holds(moment)
        )

    async def set_prices(
        self, prices: Sequence[ListedPrice | Mapping[str, Any]], *, actor: Actor | None = None
    ) -> PriceChange:
        """List own prices of the organization, by which steps from now on are priced.

        They come before those of the table, and a later one before an earlier one. A wrong price is
        corrected by another one.

        Parameters:
            prices: rows with the fields of runledger.prices.Price, US dollars for a million tokens
                as decimal text; `provider` and `model` as the table names them, or new ones.
            actor: acts instead of the ledger's own actor; the prices are of its organization.

        Returns:
            The change; an earlier one if these prices were the last that were listed.

        Raises:
            InvalidArgument: for a wrong row; the message names its fields.
        """
        rows = _checked(prices)
        envelope = self.opened.handler.envelope(storable(self.opened.acting(actor)))
        organization = envelope.actor.organization

        def unless_known(stored: Sequence[StoredEvent]) -> Event | None:
            known = known_now(stored, organization)
            named = [_as_in_table(row, known) for row in rows]
            last = in_force(list(known.own))[-len(named) :]
            if last == in_force([row.row for row in named]):
                return None
            return stamped(PricesListed, envelope, prices=named)

        await append_decided(self.opened.store, PRICES_STREAM, unless_known)
        changes = await self.list_price_changes(actor=actor)
        return [change for change in changes if change.kind == "listed"][-1]

    async def list_own_prices(self, *, actor: Actor | None = None) -> list[ListedPrice]:
        """Return the own prices of the organization that no later one replaces, oldest first.

        Parameters:
            actor: acts instead of the ledger's own actor; the prices are of its organization.
        """
        known = known_now(await self._stored(), self.opened.organization(actor))
        return [ListedPrice(**row._asdict()) for row in in_force(list(known.own))]

    async def _stored(self) -> list[StoredEvent]:
        return await asyncio.to_thread(self.opened.store.read_stream, PRICES_STREAM)


def _checked(prices: Sequence[ListedPrice | Mapping[str, Any]]) -> list[ListedPrice]:
    if isinstance(prices, str | Mapping) or not 0 < len(prices) <= MOST_PRICES:
        raise InvalidArgument(f"prices: expected a list of 1 to {MOST_PRICES:,} prices")
    return list(_each(prices))


def _each(prices: Sequence[ListedPrice | Mapping[str, Any]]) -> Iterator[ListedPrice]:
    for nth, row in enumerate(prices, 1):
        try:
            yield ListedPrice.model_validate(storable(row))
        except ValidationError as e:
            raise InvalidArgument(f"price {nth}: {_said(e)}") from e


def _said(refused: ValidationError) -> str:
    """Return what is wrong with a row; what the row itself says is a whole sentence already."""
    own = [str(one["ctx"]["error"]) for one in refused.errors() if one["type"] == "value_error"]
    return "; ".join(own) or describe(refused)


def _as_in_table(row: ListedPrice, known: Known) -> ListedPrice:
    """Return a row with the provider as the table names it; steps are looked up by that name."""
    found = price_list(row.provider, known.table.providers)
    return row.model_copy(update={"provider": found}) if found else row


def _shown(cell: Cell) -> dict[str, Any]:
    whole_day = (cell.minute_from, cell.minute_to) == (0, MINUTES)
    return {
        "valid_from": _day(cell.valid_from, FIRST_DAY),
        "valid_to": _day(cell.valid_to, END_OF_DAYS),
        "time_from": None if whole_day else _clock(cell.minute_from),
        "time_to": None if whole_day else _clock(cell.minute_to),
        "input_from": cell.input_from,
        "input_to": None if cell.input_to == MOST_INPUT else cell.input_to,
        **{unit: _dollars(getattr(cell, unit)) for unit in UNITS},
        "price_row": cell.price_row,
        "flags": list(cell.flags),
    }


def _day(text: str, no_limit: str) -> date | None:
    return None if text == no_limit else date.fromisoformat(text)


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _dollars(pico: int | None) -> Decimal | None:
    return None if pico is None else usd_per_million(pico)
