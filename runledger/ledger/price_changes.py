"""The events about prices, as the price lists that they are and as records."""

from collections.abc import Iterable, Sequence

from runledger.events import PricesAdopted, PricesApplied, PricesListed
from runledger.price_records import PriceChange
from runledger.prices.known import Known, PriceList, known_prices
from runledger.prices.table import unpacked
from runledger.store.protocol import StoredEvent


def price_lists(stored: Iterable[StoredEvent]) -> list[PriceList]:
    """Return the lists in the stream of prices, in order.

    stored: its events.
    """
    found = []
    for position, _, _, event in stored:
        if isinstance(event, PricesAdopted):
            found.append(PriceList(position, None, table=unpacked(event.table)))
        elif isinstance(event, PricesListed):
            rows = tuple(price.row for price in event.prices)
            found.append(PriceList(position, event.organization, own=rows))
    return found


def known_now(stored: Iterable[StoredEvent], organization: str) -> Known:
    """Return the prices that the next step of an organization will know.

    stored: the events about prices. organization: whose own prices count.
    """
    *_, last = known_prices(price_lists(stored), organization)
    return last


def price_changes(stored: Sequence[StoredEvent], organization: str) -> list[PriceChange]:
    """Return the events about prices that concern an organization, in order.

    stored: the events about prices. organization: events of other organizations' own prices are
        left out.
    """
    found = []
    for position, _, _, event in stored:
        by = {"position": position, "changed_at": event.recorded_at, "changed_by": event.user}
        match event:
            case PricesAdopted():
                count = len(unpacked(event.table).prices)
                found.append(PriceChange(kind="adopted", source=event.source, prices=count, **by))
            case PricesListed() if event.organization == organization:
                found.append(PriceChange(kind="listed", prices=len(event.prices), **by))
            case PricesApplied():
                known = {"since": event.since, "known_at": event.known_at}
                found.append(PriceChange(kind="applied", **known, **by))
    return found
