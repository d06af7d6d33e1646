"""Runs that an external engine executes: its answer is recorded as events of the run, once."""

import asyncio
import logging
from typing import Final

from runledger.errors import AlreadyEnded
from runledger.ledger.external_engine import ExternalEngine
from runledger.ledger.field_update import status_for, transition
from runledger.ledger.part import LedgerPart
from runledger.records import RunRecord, run_record
from runledger.run import Actor, RunStatus

ENGINE_SECONDS: Final = 5.0
ENGINE_USER: Final = "external-engine"
"""The actor of events that an engine reported; the organization is the run's."""

_log: Final = logging.getLogger(__name__)


class ExternalRuns(LedgerPart):
    """The getter that asks the engine and records its answer once."""

    async def get_run_with_status(self, run_id: str, *, actor: Actor | None = None) -> RunRecord:
        """Return the run, after asking the engine that executes it whether it ended there.

        A reported start or end becomes an event of the run, so that lists and getters agree. If the
        engine fails, takes longer than 5 s or returns an invalid status, this is logged, and the
        run is returned as it is recorded.

        Parameters:
            run_id: the id of the run.
            actor: acts instead of the ledger's own actor; queries are about its organization.
        """
        run = await self.opened.load(run_id, actor)
        known = run_record(run)
        if self.opened.engine is None or run.ended or not self.opened.runs_elsewhere(known):
            return known
        reported = await self._reported(self.opened.engine, known)
        if reported is None or reported is run.status or reported is RunStatus.CREATED:
            return known
        return await self._record(known, reported)

    async def _reported(self, engine: ExternalEngine, run: RunRecord) -> RunStatus | None:
        try:
            async with asyncio.timeout(ENGINE_SECONDS):
                answer = await engine.status(run)
            return None if answer is None else status_for(str(answer).lower(), None)
        except Exception as e:
            # Any error of the engine is ignored: the run can be returned without its answer.
            _log.warning("run %s: the external engine gave no status: %r", run.run_id, e)
            return None

    async def _record(self, run: RunRecord, reported: RunStatus) -> RunRecord:
        whose = Actor(run.organization, ENGINE_USER)
        orders = transition(
            reported,
            None,
            error_type="external",
            error_message="the external engine reported that the run failed",
        )
        try:
            return run_record((await self.opened.execute(run.run_id, *orders, actor=whose)).run)
        except AlreadyEnded:
            # Another task recorded an end while the engine was asked; the first end wins.
            return run_record(await self.opened.load(run.run_id, whose))
