"""Callbacks for users of a ledger: delivered ones, pending ones, and repeated deliveries."""

from collections.abc import Iterable
from datetime import datetime
from typing import Unpack

from projections.generations.as_of import AsOfMoment
from projections.queries.callbacks import CALLBACK_STATUSES, CallbackStatus
from runledger.arguments import check_counts, check_lists
from runledger.command_handling.command_options import CommandOptions
from runledger.errors import InvalidArgument
from runledger.events import CallbackAttempted
from runledger.ledger.part import LedgerPart
from runledger.records import Callback, CallbackRow, Records
from runledger.run import Actor
from runledger.run.commands import RequestCallback
from runledger.run.delivery import Delivery
from runledger.run.envelope import optional_in_utc
from runledger.span import check_span


class Callbacks(LedgerPart):
    """Queries and requests about callbacks; a dispatcher sends them, here or in another process.

    With `as_of`, a position of the log or a time, queries return the answers of that time.
    """

    async def get_callback(
        self, run_id: str, *, as_of: AsOfMoment | None = None, actor: Actor | None = None
    ) -> Callback:
        """Return a run's delivery and its attempts, from its stream, so always current.

        Parameters:
            run_id: the id of the run.
            as_of: answers as of a position of the log or a time with a zone; the present by
                default.
            actor: acts instead of the ledger's own actor; queries are about its organization.
        """
        run = await self.opened.load(run_id, actor, as_of)
        events = (row.event for row in await self.opened.events(run_id, as_of))
        attempts = [event for event in events if isinstance(event, CallbackAttempted)]
        return Callback(run_id, run.callback_url, run.delivery, attempts)

    async def list_callbacks(
        self,
        *,
        statuses: Iterable[CallbackStatus] = (),
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = 100,
        as_of: AsOfMoment | None = None,
        actor: Actor | None = None,
    ) -> list[CallbackRow]:
        """Return rows of the read model `callbacks`, the last requested first.

        `since` and `until` (exclusive) filter by the time of the run's end; no status means any.

        Parameters:
            statuses: "pending", "delivered" or "failed"; all by default.
            since: keeps runs that ended at this time or later; no bound by default.
            until: keeps runs that ended before this time; no bound by default.
            limit: the largest number of rows, 100 by default; None for all.
            as_of: answers as of a position of the log or a time with a zone; the present by
                default.
            actor: acts instead of the ledger's own actor; queries are about its organization.
        """
        check_lists(statuses=statuses)
        wanted = list(statuses)
        unknown = [status for status in wanted if status not in CALLBACK_STATUSES]
        if unknown:
            raise InvalidArgument(
                f"statuses: expected any of {', '.join(CALLBACK_STATUSES)}, found {unknown}"
            )
        if limit is not None:
            check_counts(least=1, limit=limit)
        since, until = optional_in_utc("since", since), optional_in_utc("until", until)
        check_span("list_callbacks", since=since, until=until)
        organization = self.opened.organization(actor)
        found = await self.opened.ask(
            lambda q: q.callbacks(organization, wanted, since=since, until=until, limit=limit),
            as_of,
        )
        return Records(found)

    async def redeliver_callback(self, run_id: str, **options: Unpack[CommandOptions]) -> Delivery:
        """Request that a run's callback is sent again at once, with the same webhook-id.

        The request is an event; the dispatcher that follows the log sends the callback.

        Parameters:
            run_id: the id of the run.
            options: actor, expected_version, idempotency_key, and `at` in TimedOptions; see
                CommandOptions.

        Raises:
            IllegalTransition: if the run has not ended.
            InvalidArgument: if the run has no callback_url.
        """
        owed = (await self.opened.execute(run_id, RequestCallback(), **options)).run.delivery
        assert owed is not None
        return owed

    async def redeliver_callbacks(
        self,
        *,
        statuses: Iterable[CallbackStatus] = (),
        since: datetime | None = None,
        until: datetime | None = None,
        actor: Actor | None = None,
    ) -> list[str]:
        """Request that all callbacks of a range are sent again; return the ids of their runs.

        Parameters:
            statuses: "pending", "delivered" or "failed"; all by default.
            since: keeps runs that ended at this time or later; no bound by default.
            until: keeps runs that ended before this time; no bound by default.
            actor: acts instead of the ledger's own actor; queries are about its organization.
        """
        found = await self.list_callbacks(
            statuses=statuses, since=since, until=until, limit=None, actor=actor
        )
        for row in reversed(found):
            await self.redeliver_callback(row.run_id, actor=actor)
        return [row.run_id for row in reversed(found)]
