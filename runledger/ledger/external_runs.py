"""Runs that an external engine executes: its answer becomes part of the run, once."""

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
    """The getter that asks the engine, and records what it says once for everybody."""

    async def get_run_with_status(self, run_id: str, *, actor: Actor | None = None) -> RunRecord:
        """Return the run, after asking the engine that executes it whether it ended there.

        A reported start or end becomes an event of the run, so that lists and getters agree. An
        engine that fails, takes longer than 5 s or answers nonsense is logged, and the run is
        returned as the ledger knows it.

        Parameters:
            run_id: the id of the run.
            actor: acts in the place of the ledger's own actor, and whose organization is asked
                about.
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
            # Whatever an engine raises is its own affair: the run can be shown without it.
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
            # Somebody recorded an end while the engine was asked; the first one wins.
            return run_record(await self.opened.load(run.run_id, whose))
