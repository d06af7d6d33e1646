"""An operator's decisions about prices: a newer table, and to price earlier steps again."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from projections.compare.repricing import KnownAt, Repriced
from runledger.arguments import check_counts, check_flags
from runledger.command_handling.decided_append import append_decided
from runledger.errors import ConcurrentAppend, InvalidArgument
from runledger.events import PRICES_STREAM, Event, PricesAdopted, PricesApplied
from runledger.ledger.operator_work import OperatorWork
from runledger.ledger.price_changes import known_now, price_changes, price_lists
from runledger.price_records import PriceChange
from runledger.prices.table import PriceTable, shipped
from runledger.run.envelope import optional_in_utc
from runledger.run.rules import stamped
from runledger.storable import storable
from runledger.store.protocol import StoredEvent

_ATTEMPTS: Final = 5


class Repricing(OperatorWork):
    """Decisions for all organizations of the ledger; each is an event."""

    async def adopt_prices(self, table: PriceTable | None = None) -> PriceChange | None:
        """Adopt a table of prices, by which steps from now on are priced.

        Parameters:
            table: the table; the newest of the package by default.

        Returns:
            The change, or None if a table with equal rows is adopted already.
        """
        adopted = shipped() if table is None else table
        envelope = self.opened.handler.envelope(storable(self.opened.actor))

        def unless_adopted(stored: Sequence[StoredEvent]) -> Event | None:
            known = known_now(stored, "")
            if known.table.digest == adopted.digest:
                return None
            return stamped(
                PricesAdopted,
                envelope,
                digest=adopted.digest,
                source=adopted.source,
                dated=adopted.dated,
                table=adopted.packed(),
            )

        done = await append_decided(self.opened.store, PRICES_STREAM, unless_adopted)
        return await self._last_change() if done else None

    async def reprice(
        self,
        *,
        since: datetime | None = None,
        known_at: KnownAt = "now",
        dry_run: bool = False,
    ) -> Repriced:
        """Price recorded steps again, and return what that changes.

        Parameters:
            since: only steps whose request began then or later, with a time zone; all by default.
            known_at: "now" prices them by all prices that are listed, a position of the log by
                those that were listed up to it (0: by the table of the beginning), and "recorded"
                each by those that were listed before it was recorded, as if it had never been
                priced again.
            dry_run: True only returns what would change, and records nothing.

        Raises:
            ConcurrentAppend: if prices change all the time.
            ReadModelsError: if the read models have no costs of this version.
        """
        begin = optional_in_utc("since", since)
        check_flags(dry_run=dry_run)
        if known_at not in ("now", "recorded"):
            if isinstance(known_at, str):
                raise InvalidArgument(
                    f"known_at: expected now, recorded or a position, found {known_at!r:.80}"
                )
            check_counts(least=0, known_at=known_at)
            # Beyond the end, prices that are listed later would change what was decided now.
            if known_at > (head := await asyncio.to_thread(self.opened.store.head)):
                raise InvalidArgument(
                    f"known_at: expected a position of the log, which ends at {head:,}, found "
                    f"{known_at:,}"
                )
        for _ in range(_ATTEMPTS):
            stored = await self._stored()
            position = _position(known_at, stored)
            async with self._at_operator() as at:
                difference = await asyncio.to_thread(at.price_difference, begin, position)
            if dry_run or not difference.groups:
                return Repriced(difference, None)
            if await self._apply(begin, position, len(stored)):
                return Repriced(difference, await self._last_change())
        raise ConcurrentAppend(PRICES_STREAM, len(stored), len(await self._stored()))

    async def _apply(self, since: datetime | None, known_at: int | None, seen: int) -> bool:
        """Record the decision, unless prices were changed after `seen` events about them."""
        envelope = self.opened.handler.envelope(storable(self.opened.actor))

        def if_as_seen(stored: Sequence[StoredEvent]) -> Event | None:
            # By what the difference was computed from, or it would not be what was shown.
            if len(stored) != seen:
                return None
            return stamped(PricesApplied, envelope, since=since, known_at=known_at)

        return await append_decided(self.opened.store, PRICES_STREAM, if_as_seen)

    async def _last_change(self) -> PriceChange:
        return price_changes(await self._stored(), self.opened.actor.organization)[-1]

    async def _stored(self) -> list[StoredEvent]:
        return await asyncio.to_thread(self.opened.store.read_stream, PRICES_STREAM)


def _position(known_at: KnownAt, stored: Sequence[StoredEvent]) -> int | None:
    if known_at == "recorded":
        return None
    if known_at != "now":
        return int(known_at)
    # The last list, not the head of the log: steps that are recorded meanwhile know it anyway.
    return max((change.position for change in price_lists(stored)), default=0)
