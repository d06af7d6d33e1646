"""Callbacks as a ledger's user sees them: what was delivered, what is owed, and again, please."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Unpack

from projections.generations.as_of import AsOfMoment
from projections.queries.callbacks import CALLBACK_STATUSES, CallbackStatus
from runledger.command_handling.command_options import CommandOptions
from runledger.errors import InvalidArgument
from runledger.events import CallbackAttempted
from runledger.ledger.arguments import check_counts, check_lists
from runledger.ledger.part import LedgerPart
from runledger.records import Callback
from runledger.run import Actor
from runledger.run.commands import RequestCallback
from runledger.run.delivery import Delivery
from runledger.run.envelope import optional_in_utc
from runledger.span import check_span


class Callbacks(LedgerPart):
    """Everything about callbacks; sending them is the dispatcher's, here or in another process.

    With `as_of`, a position of the log or a time, the questions are answered as they would have
    been answered then.
    """

    async def get_callback(
        self, run_id: str, *, as_of: AsOfMoment | None = None, actor: Actor | None = None
    ) -> Callback:
        """Return what is owed for a run and the attempts, from its stream: always current.

        Parameters:
            run_id: the id of the run.
            as_of: a position of the log or a time with a zone, to answer as of; the present by
                default.
            actor: acts in the place of the ledger's own actor, and whose organization is asked
                about.
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
    ) -> list[dict[str, Any]]:
        """Return rows of the read model `callbacks`, those asked for last first.

        `since` and `until` (exclusive) are about when the run ended; no status means any.

        Parameters:
            statuses: "pending", "delivered" or "failed"; any by default.
            since: the first time of a run's end that counts; open by default.
            until: the first time of a run's end that counts no more; open by default.
            limit: how many at most, 100 by default; None for all.
            as_of: a position of the log or a time with a zone, to answer as of; the present by
                default.
            actor: acts in the place of the ledger's own actor, and whose organization is asked
                about.
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
        return await self.opened.ask(
            lambda q: q.callbacks(organization, wanted, since=since, until=until, limit=limit),
            as_of,
        )

    async def redeliver_callback(self, run_id: str, **options: Unpack[CommandOptions]) -> Delivery:
        """Ask for a run's callback to be sent again, with the same webhook-id, at once.

        The request is an event; whichever dispatcher follows the log sends it. Raises
        IllegalTransition for a run that has not ended, InvalidArgument for one without a
        callback_url.

        Parameters:
            run_id: the id of the run.
            options: actor, expected_version, idempotency_key and, if it can be told, `at`; see
                CommandOptions.
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
        """Ask for all callbacks of a range to be sent again; return the ids of their runs.

        Parameters:
            statuses: "pending", "delivered" or "failed"; any by default.
            since: the first time of a run's end that counts; open by default.
            until: the first time of a run's end that counts no more; open by default.
            actor: acts in the place of the ledger's own actor, and whose organization is asked
                about.
        """
        found = await self.list_callbacks(
            statuses=statuses, since=since, until=until, limit=None, actor=actor
        )
        for row in reversed(found):
            await self.redeliver_callback(row["run_id"], actor=actor)
        return [row["run_id"] for row in reversed(found)]
