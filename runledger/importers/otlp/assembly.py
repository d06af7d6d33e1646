"""Makes runs of the spans in the inbox, trace by trace, and of those that come late.

What is known of a trace lies in the store: another process goes on where one was killed.
"""

import asyncio
import json
import logging
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from runledger.command_handling.batch import CommandBatch
from runledger.command_handling.handler import CommandHandler
from runledger.errors import LedgerError
from runledger.importers.otlp.recorded import recorded
from runledger.importers.otlp.run import Recorded, Run, Trace
from runledger.importers.otlp.span import Span
from runledger.importers.recorder import LARGE, FoundRun, RunRecorder
from runledger.importers.report import ImportReport
from runledger.run import Actor
from runledger.run import commands as c
from runledger.store import Store
from runledger.store.spans import TraceRow

QUIET: Final = 2.0
"""Seconds without a span after which a trace is assembled."""
PATIENCE: Final = 4.0
"""Seconds after which a trace is assembled although its spans still come."""
HEADLESS: Final = 30.0
"""Seconds that a run waits for its own span if nothing else tells the name of its agent."""
LEASE: Final = "otel"
"""The lease of the one process that assembles."""
_PAUSE: Final = 0.5
_AT_ONCE: Final = 100
_LOG: Final = logging.getLogger("runledger.otel")


class Waiting(NamedTuple):
    """How long a trace waits; see QUIET, PATIENCE and HEADLESS."""

    quiet: float = QUIET
    patience: float = PATIENCE
    headless: float = HEADLESS


class Assembler:
    """Assembles the traces of one store; any number of processes may, one at a time does."""

    def __init__(
        self, store: Store, handler: CommandHandler, waiting: Waiting | None = None
    ) -> None:
        self._store = store
        self._handler = handler
        self._waiting = waiting or Waiting()

    async def run(self, stopping: asyncio.Event) -> None:
        """Assemble what is due until told to stop; errors of the store are waited out."""
        while not stopping.is_set():
            lease = self._store.leadership(LEASE)
            try:
                leads = await asyncio.to_thread(lease.__enter__)
                try:
                    while leads and self._store.leads(LEASE) and not stopping.is_set():
                        if not await self.assemble():
                            await _pause(stopping)
                finally:
                    await asyncio.to_thread(lease.__exit__, None, None, None)
            except LedgerError as e:
                _LOG.warning("spans wait: %s: %s", type(e).__name__, e)
            await _pause(stopping)

    async def assemble(self) -> int:
        """Assemble what is due now; return how many traces that were."""
        waiting = self._waiting
        due = await asyncio.to_thread(
            self._store.spans.due, time.time(), waiting.quiet, waiting.patience, _AT_ONCE
        )
        for trace in due:
            await self._assemble(trace)
        return len(due)

    async def _assemble(self, row: TraceRow) -> None:
        spans = await asyncio.to_thread(self._store.spans.of_trace, row.organization, row.trace_id)
        trace = Trace(map(Span.from_json, spans), row.organization)
        report = ImportReport("runs")
        before: list[str] = json.loads(row.runs)
        known = {run_id: await self._recorded(run_id) for run_id in before}
        made = trace.runs(known)
        now, deferred = time.time(), False
        if now - row.first_at < self._waiting.headless:
            shown = [run for run in made if run.has_head or run.agent_told or run.run_id in before]
            deferred, made = len(shown) < len(made), shown
        ids = [*before, *(run.run_id for run in made if run.run_id not in before)]
        if ids != before:
            # Before anything is recorded, so that a process that goes on from here knows of it.
            await asyncio.to_thread(self._store.spans.save, _undone(row, ids), now)
        actor = Actor(row.organization)
        async with RunRecorder(
            self._store, self._handler, actor, report, at_once=LARGE
        ) as recorder:
            for run in made:
                await recorder.submit(f"trace {row.trace_id}", found_run(run, ended=False))
        await self._close(trace, before, actor)
        done = row._replace(
            runs=json.dumps(ids),
            note=json.dumps(_note(trace, report)),
            done=row.done if deferred else row.version,
        )
        later = row.first_at + self._waiting.headless if deferred else 0.0
        await asyncio.to_thread(self._store.spans.save, done, time.time(), later)

    async def _recorded(self, run_id: str) -> Recorded:
        return await asyncio.to_thread(recorded, self._store, run_id)

    async def _close(self, trace: Trace, before: list[str], actor: Actor) -> None:
        """Complete runs that, as spans show that came later, are parts of another."""
        current = {trace.run_id(group) for group in trace.groups}
        for run_id in before:
            if run_id in current or not current:
                continue
            part_of = sorted(current)[0]
            orders: list[c.Command] = [
                c.PatchMetadata({"otel.part_of": part_of}),
                c.CompleteRun("end_turn", measured=False),
            ]
            await self._handler.execute(CommandBatch(actor, run_id, orders))


def found_run(run: Run, *, ended: bool) -> FoundRun:
    """Return what the recorder needs of a run; `ended` as in Run.commands."""
    return FoundRun(
        run.run_id, run.agent_id, run.agent_name, lambda: list(run.commands(ended=ended))
    )


def _undone(row: TraceRow, runs: list[str]) -> TraceRow:
    return row._replace(runs=json.dumps(runs))


def _note(trace: Trace, report: ImportReport) -> Mapping[str, Any]:
    """Return what was refused of a trace, and the scopes of one that has no run."""
    note: dict[str, Any] = {}
    if report.refusals:
        note["refused"] = [refusal.reason for refusal in report.refusals]
    if not trace.groups:
        scopes = Counter(node.span.scope_name or "no scope" for node in trace.nodes)
        note["scopes"] = dict(sorted(scopes.items()))
    return note


async def _pause(stopping: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(_PAUSE):
            await stopping.wait()
    except TimeoutError:
        return
