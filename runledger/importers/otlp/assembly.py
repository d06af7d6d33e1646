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
from runledger.importers.otlp.claims import claimed
from runledger.importers.otlp.recorded import recorded
from runledger.importers.otlp.run import PART_OF, Dropped, Run, Trace
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
"""Seconds that a run waits for its own span if nothing else has the name of its agent."""
SILENCE: Final = 3_600.0
"""Seconds without a log event after which a run that only such events report has ended."""
RETENTION: Final = 7 * 86_400.0
"""Seconds after its last span for which the spans of a trace are kept; then only their keys are."""
LEASE: Final = "otel"
"""The lease of the one process that assembles."""
_PAUSE: Final = 0.5
_DROPS_EVERY: Final = 60.0
_AT_ONCE: Final = 100
_LOG: Final = logging.getLogger("runledger.otel")


class Waiting(NamedTuple):
    """How long a trace waits and its spans are kept; see QUIET and the constants after it."""

    quiet: float = QUIET
    patience: float = PATIENCE
    headless: float = HEADLESS
    silence: float = SILENCE
    retention: float = RETENTION


class Assembler:
    """Assembles the traces of one store; any number of processes may, one at a time does."""

    def __init__(
        self, store: Store, handler: CommandHandler, waiting: Waiting | None = None
    ) -> None:
        self._store = store
        self._handler = handler
        self._waiting = waiting or Waiting()
        self._dropped_before = 0.0
        self._drops_at = 0.0

    async def run(self, stopping: asyncio.Event) -> None:
        """Assemble what is due until it is stopped; errors of the store are waited out."""
        while not stopping.is_set():
            lease = self._store.leadership(LEASE)
            try:
                leads = await asyncio.to_thread(lease.__enter__)
                try:
                    while leads and self._store.leads(LEASE) and not stopping.is_set():
                        if not await self.assemble():
                            await self._drop()
                            await _pause(stopping)
                finally:
                    await asyncio.to_thread(lease.__exit__, None, None, None)
            except LedgerError as e:
                _LOG.warning("spans wait: %s: %s", type(e).__name__, e)
            except Exception:
                _LOG.exception("spans wait")
            await _pause(stopping)

    async def retry(self, organization: str, trace_ids: Sequence[str] | None = None) -> int:
        """Make runs again of refused traces, of all or of these; return how many there are.

        If another process assembles, it is the one that does, and this returns when it has.
        """
        tried = await asyncio.to_thread(
            self._store.spans.retry, organization, trace_ids, time.time()
        )
        while await asyncio.to_thread(self._store.spans.retrying, organization, time.time()):
            lease = self._store.leadership(LEASE)
            leads = await asyncio.to_thread(lease.__enter__)
            try:
                made = await self.assemble() if leads else 0
            finally:
                await asyncio.to_thread(lease.__exit__, None, None, None)
            if not made:
                await asyncio.sleep(_PAUSE)
        return tried

    async def assemble(self) -> int:
        """Assemble what is due now; return how many traces that were."""
        waiting, epoch = self._waiting, self._store.epoch
        due = await asyncio.to_thread(
            self._store.spans.due, time.time(), waiting.quiet, waiting.patience, _AT_ONCE
        )
        found = await asyncio.gather(*(asyncio.to_thread(self._read, row) for row in due))
        planned = [one.planned() for one in found if one.ids != one.before]
        # Before anything is recorded, so that a process that goes on from here knows of it.
        if planned and not await self._save(planned, epoch):
            return len(due)
        for organization in sorted({one.row.organization for one in found}):
            await self._record(
                Actor(organization), [one for one in found if one.row.organization == organization]
            )
        if found:
            # If the log has gone back meanwhile, they are still due.
            await self._save([one.done() for one in found], epoch)
        return len(due)

    async def _drop(self) -> None:
        """Drop the content of spans that were kept long enough, now and then."""
        now, spans = time.time(), self._store.spans
        if now < self._drops_at:
            return
        before = now - self._waiting.retention
        dropped = await asyncio.to_thread(spans.drop, self._dropped_before, before, _AT_ONCE)
        if dropped < _AT_ONCE:
            # Older traces have been dropped, or were refused; a new leader looks at them again.
            self._dropped_before = before
            self._drops_at = now + min(_DROPS_EVERY, self._waiting.retention)

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
        table, before = self._store.spans, list[str](json.loads(row.runs))
        spans = [Span.from_json(text) for text in table.of_trace(row.organization, row.trace_id)]
        kept, elsewhere = claimed(table, row.organization, spans)
        dropped = Dropped(row.dropped, before) if row.dropped else None
        trace = Trace(kept, row.organization, dropped=dropped)
        known = {run_id: recorded(self._store, run_id) for run_id in before}
        made = trace.runs(known)
        shown, again_at = made, 0.0
        if time.time() < row.first_at + self._waiting.headless:
            shown = [run for run in made if run.has_head or run.names_agent or run.run_id in before]
            again_at = row.first_at + self._waiting.headless if len(shown) < len(made) else 0.0
        ended = trace.logged and time.time() >= row.last_at + self._waiting.silence
        if trace.logged and not ended:
            again_at = again_at or row.last_at + self._waiting.silence
        parts = [run_id for run_id, one in known.items() if one.part]
        return _Due(
            row, trace, before, shown, again_at, ended=ended, elsewhere=elsewhere, parts=parts
        )

    async def _record(self, actor: Actor, found: Sequence["_Due"]) -> None:
        report = ImportReport("runs")
        async with RunRecorder(self._store, self._handler, actor, report) as recorder:
            for one in found:
                for run in one.runs:
                    await recorder.submit(one.row.trace_id, found_run(run, ended=one.ended))
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
            if not current or (run_id in current) != (run_id in due.parts):
                continue
            orders: list[c.Command] = [
                c.PatchMetadata({PART_OF: sorted(current)[0]}),
                c.CompleteRun("end_turn", measured=False),
            ]
            if run_id in current:
                # Spans that came later show that it is the one that others are parts of.
                orders = [c.PatchMetadata(remove=[PART_OF])]
            try:
                await self._handler.execute(CommandBatch(actor, run_id, orders))
            except (Conflict, NotFound) as e:
                due.refused.append(str(e))

    async def _save(self, traces: Sequence[SavedTrace], epoch: int) -> bool:
        return await asyncio.to_thread(self._store.spans.save, traces, time.time(), epoch)


@dataclass(slots=True)
class _Due:
    """A trace that is due, its runs that are shown now, and those that it had before."""

    row: TraceRow
    trace: Trace
    before: list[str]
    runs: list[Run]
    again_at: float
    refused: list[str] = field(default_factory=list)
    ended: bool = False
    """Whether runs end by their last span, as no other will say that they do."""
    elsewhere: list[str] = field(default_factory=list)
    """Which spans are left out as their calls are recorded from another source."""
    parts: list[str] = field(default_factory=list)
    """Runs that are marked as parts of another."""

    @property
    def ids(self) -> list[str]:
        return [*self.before, *(r.run_id for r in self.runs if r.run_id not in self.before)]

    def planned(self) -> SavedTrace:
        return SavedTrace(self.row._replace(runs=json.dumps(self.ids)))

    def done(self) -> SavedTrace:
        note: dict[str, Any] = {}
        if self.refused:
            note["refused"] = self.refused
        if self.elsewhere:
            note["elsewhere"] = self.elsewhere
        if not self.trace.groups and not self.elsewhere and not self.row.dropped:
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
        except Exception as e:
            # As in Assembler._read: the trace is refused, and tried again when that is asked for.
            _LOG.exception("span %s", run.group.key)
            raise InvalidArgument(f"span {run.group.key}: {e!r}") from e

    return FoundRun(run.run_id, run.agent_id, run.agent_name, commands)


async def _pause(stopping: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(_PAUSE):
            await stopping.wait()
    except TimeoutError:
        return
