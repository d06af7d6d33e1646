"""Ends runs and approvals that were abandoned; a timer or a command calls it."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from runledger.arguments import check_flags
from runledger.errors import AlreadyEnded, InvalidArgument, NotFound, UndecodableEvent
from runledger.ledger.part import LedgerPart
from runledger.run import Actor, commands
from runledger.run.envelope import optional_in_utc
from runledger.span import LONGEST

_LOG: Final = logging.getLogger("runledger.expiry")
_PARALLEL_RUNS: Final = 64


class Expiry(LedgerPart):
    """Called by a timer or by `runledger expire`; both methods find the runs in the read models."""

    async def expire_runs(
        self,
        *,
        older_than: timedelta,
        every_organization: bool = False,
        actor: Actor | None = None,
        at: datetime | None = None,
    ) -> list[str]:
        """Fail the open runs that had no event for some time, with the error type `lost`.

        Their open tool calls are denied and their conversations released in the same append; a run
        with a new event meanwhile stays open. Returns the ids of the runs that were ended.

        Parameters:
            older_than: the silence after which a run is lost, 0 to 36,500 days.
            every_organization: True applies to the runs of all organizations; by default only to
                those of the actor's.
            actor: acts instead of the ledger's own actor; queries are about its organization.
            at: the time when it happened, with a zone, for history that is recorded later; now by
                default.
        """
        moment = optional_in_utc("at", at) or self.opened.clock()
        check_flags(every_organization=every_organization)
        if not isinstance(older_than, timedelta) or not timedelta(0) <= older_than <= LONGEST:
            raise InvalidArgument(
                f"older_than: expected a timedelta, 0 or more and {LONGEST.days} days at most, "
                f"found {older_than!r:.80}"
            )
        since = moment - older_than
        scope = None if every_organization else self.opened.organization(actor)
        rows = await self.opened.ask(lambda q: q.silent_runs(since, scope))
        return await self._expire(rows, commands.ExpireRun(since), actor, at)

    async def expire_approvals(
        self,
        *,
        every_organization: bool = False,
        actor: Actor | None = None,
        at: datetime | None = None,
    ) -> list[str]:
        """Deny the open tool calls of runs whose approval deadline has passed; return their ids.

        Parameters:
            every_organization: True applies to the runs of all organizations; by default only to
                those of the actor's.
            actor: acts instead of the ledger's own actor; queries are about its organization.
            at: the time when it happened, with a zone, for history that is recorded later; now by
                default.
        """
        moment = optional_in_utc("at", at) or self.opened.clock()
        check_flags(every_organization=every_organization)
        scope = None if every_organization else self.opened.organization(actor)
        rows = await self.opened.ask(lambda q: q.overdue_runs(moment, scope))
        return await self._expire(rows, commands.ExpireApprovals(), actor, moment)

    async def _expire(
        self,
        rows: Sequence[dict[str, Any]],
        command: commands.ExpireRun | commands.ExpireApprovals,
        actor: Actor | None,
        at: datetime | None,
    ) -> list[str]:
        user = self.opened.acting(actor).user

        async def one(row: dict[str, Any]) -> str | None:
            whose = Actor(row["organization"], user)
            try:
                outcome = await self.opened.execute(row["run_id"], command, actor=whose, at=at)
            except (NotFound, AlreadyEnded):
                # Deleted or ended since it was found; the other runs must not wait for it.
                return None
            except UndecodableEvent as e:
                # Parked: its state is unknown, and the other runs must not wait for it.
                _LOG.warning("run %s is left as it is: %s", row["run_id"], e)
                return None
            return row["run_id"] if outcome.events else None

        expired: list[str] = []
        for start in range(0, len(rows), _PARALLEL_RUNS):
            # All tasks finish before the first error is raised, so that none is left running.
            done = await asyncio.gather(
                *map(one, rows[start : start + _PARALLEL_RUNS]), return_exceptions=True
            )
            for result in done:
                if isinstance(result, BaseException):
                    raise result
            expired += [run_id for run_id in done if isinstance(run_id, str)]
        return expired
