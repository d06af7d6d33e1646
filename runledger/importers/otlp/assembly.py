"""Makes runs of the spans in the inbox, trace by trace, and of those that come late.

What is known of a trace lies in the store: another process goes on where one was killed.
"""

import asyncio
import json
import logging
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from runledger.command_handling.batch import CommandBatch
from runledger.command_handling.handler import CommandHandler
from runledger.errors import Conflict, InvalidArgument, LedgerError, NotFound
from runledger.importers.otlp.recorded import recorded
from runledger.importers.otlp.run import Run, Trace
from runledger.importers.otlp.span import Span
from runledger.importers.recorder import FoundRun, RunRecorder, Timed
from runledger.importers.report import ImportReport
from runledger.run import Actor
from runledger.run import commands as c
from runledger.store import Store
from runledger.store.spans import SavedTrace, TraceRow

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
            except Exception:
                _LOG.exception("spans wait")
            await _pause(stopping)

    async def assemble(self) -> int:
        """Assemble what is due now; return how many traces that were."""
        waiting = self._waiting
        due = await asyncio.to_thread(
            self._store.spans.due, time.time(), waiting.quiet, waiting.patience, _AT_ONCE
        )
        found = await asyncio.gather(*(asyncio.to_thread(self._read, row) for row in due))
        planned = [one.planned() for one in found if one.ids != one.before]
        if planned:
            # Before anything is recorded, so that a process that goes on from here knows of it.
            await self._save(planned)
        for organization in sorted({one.row.organization for one in found}):
            await self._record(
                Actor(organization), [one for one in found if one.row.organization == organization]
            )
        if found:
            await self._save([one.done() for one in found])
        return len(due)

    def _read(self, row: TraceRow) -> "_Due":
        try:
            return self._understood(row)
        except LedgerError:
            raise
        except Exception as e:
            # A fault in our reading of one trace must not keep all others waiting; its spans stay.
            _LOG.exception("trace %s", row.trace_id)
            before: list[str] = json.loads(row.runs)
            return _Due(row, Trace([], row.organization), before, [], 0.0, [repr(e)])

    def _understood(self, row: TraceRow) -> "_Due":
        spans = self._store.spans.of_trace(row.organization, row.trace_id)
        trace = Trace(map(Span.from_json, spans), row.organization)
        before: list[str] = json.loads(row.runs)
        made = trace.runs({run_id: recorded(self._store, run_id) for run_id in before})
        again_at = row.first_at + self._waiting.headless
        if time.time() < again_at:
            shown = [run for run in made if run.has_head or run.agent_told or run.run_id in before]
        else:
            shown = made
        return _Due(row, trace, before, shown, again_at if len(shown) < len(made) else 0.0)

    async def _record(self, actor: Actor, found: Sequence["_Due"]) -> None:
        report = ImportReport("runs")
        async with RunRecorder(self._store, self._handler, actor, report) as recorder:
            for one in found:
                for run in one.runs:
                    await recorder.submit(one.row.trace_id, found_run(run, ended=False))
        for refusal in report.refusals:
            for one in found:
                if one.row.trace_id == refusal.place:
                    one.refused.append(refusal.reason)
        for one in found:
            await self._close(one, actor)

    async def _close(self, due: "_Due", actor: Actor) -> None:
        """Complete runs that, as spans show that came later, are parts of another."""
        current = {due.trace.run_id(group) for group in due.trace.groups}
        for run_id in due.before:
            if run_id in current or not current:
                continue
            orders: list[c.Command] = [
                c.PatchMetadata({"otel.part_of": sorted(current)[0]}),
                c.CompleteRun("end_turn", measured=False),
            ]
            try:
                await self._handler.execute(CommandBatch(actor, run_id, orders))
            except (Conflict, NotFound) as e:
                due.refused.append(str(e))

    async def _save(self, traces: Sequence[SavedTrace]) -> None:
        await asyncio.to_thread(self._store.spans.save, traces, time.time())


@dataclass(slots=True)
class _Due:
    """A trace that is due, its runs that are shown now, and those that it had before."""

    row: TraceRow
    trace: Trace
    before: list[str]
    runs: list[Run]
    again_at: float
    refused: list[str] = field(default_factory=list)

    @property
    def ids(self) -> list[str]:
        return [*self.before, *(r.run_id for r in self.runs if r.run_id not in self.before)]

    def planned(self) -> SavedTrace:
        return SavedTrace(self.row._replace(runs=json.dumps(self.ids)))

    def done(self) -> SavedTrace:
        note: dict[str, Any] = {}
        if self.refused:
            note["refused"] = self.refused
        if not self.trace.groups:
            scopes = Counter(node.span.scope_name or "no scope" for node in self.trace.nodes)
            note["scopes"] = dict(sorted(scopes.items()))
        done = self.row.done if self.again_at else self.row.version
        row = self.row._replace(runs=json.dumps(self.ids), note=json.dumps(note), done=done)
        return SavedTrace(row, self.again_at)


def found_run(run: Run, *, ended: bool) -> FoundRun:
    """Return what the recorder needs of a run; `ended` as in Run.commands."""

    def commands() -> list[Timed]:
        try:
            return list(run.commands(ended=ended))
        except ValueError as e:
            raise InvalidArgument(f"span {run.group.key}: {e}") from e

    return FoundRun(run.run_id, run.agent_id, run.agent_name, commands)


async def _pause(stopping: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(_PAUSE):
            await stopping.wait()
    except TimeoutError:
        return
