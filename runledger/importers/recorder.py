"""Records the runs that an importer finds: each once, completely or the new part of it."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

from runledger.command_handling.batch import CommandBatch
from runledger.command_handling.handler import CommandHandler
from runledger.errors import Conflict, ContentConflict, InvalidArgument, NotFound, StoreRefused
from runledger.events import (
    Event,
    MessagesRecorded,
    RunCancelled,
    RunCompleted,
    RunCreated,
    RunDeleted,
    RunFailed,
    StepRecorded,
)
from runledger.importers.report import ImportReport
from runledger.run import Actor
from runledger.run import commands as c
from runledger.store import Store

CONCURRENCY: Final = 64
"""Runs recorded concurrently: enough for the appender to make large commits."""

LARGE: Final = 8
"""Runs recorded concurrently if each may need many megabytes."""

DIGEST: Final = "source_digest"
"""The key of a run's metadata by which an import detects a source that was imported already."""

Timed = tuple[datetime, c.Command]

_REFUSED: Final = (InvalidArgument, Conflict, StoreRefused)
_ENDS: Final = (RunCompleted, RunFailed, RunCancelled)
_COUNTS: Final = ("prompt_tokens", "completion_tokens", "total_tokens")


class FoundRun(NamedTuple):
    """A run of a source.

    `commands` returns the commands in order, creation first; it is called if any of them may be
    new. A source that never changes has a `digest`, stored in the metadata under DIGEST: an
    existing run must have this content, otherwise it is refused. Without a digest, new commands are
    added to an existing run. `earlier_id` is the id by which an older version recorded the same
    run.
    """

    run_id: str
    agent_id: str
    agent_name: str | None
    commands: Callable[[], Iterable[Timed]]
    digest: str | None = None
    earlier_id: str | None = None


@dataclass(slots=True)
class _Known:
    """The recorded part of a run."""

    organization: str
    digest: object = None
    closed: bool = False
    deleted: bool = False
    steps: dict[str, StepRecorded] = field(default_factory=dict)
    messages: set[str] = field(default_factory=set)


class RunRecorder:
    """Records runs concurrently; `async with` waits for those in progress."""

    def __init__(
        self,
        store: Store,
        handler: CommandHandler,
        actor: Actor,
        report: ImportReport,
        *,
        at_once: int = CONCURRENCY,
    ) -> None:
        """Start; `at_once` runs are in memory at a time, fewer if each may be large."""
        self._store = store
        self._handler = handler
        self._actor = actor
        self._report = report
        self._room = asyncio.Semaphore(at_once)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._agents: set[str] = set()

    async def __aenter__(self) -> "RunRecorder":
        """Return itself; nothing is opened."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Wait for runs in progress; raise the first error that is not a refusal."""
        await self.finish()

    async def finish(self) -> None:
        """Wait until everything that was submitted is recorded or refused."""
        done = await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        self._tasks.clear()
        for result in done:
            if isinstance(result, BaseException):
                raise result

    async def submit(self, place: str, run: FoundRun) -> None:
        """Record a run soon; `place` names it if it is refused."""
        await self._room.acquire()
        before = self._tasks.get(run.run_id)
        if before is not None:
            # The events of one copy of a history must be recorded before the next copy is compared
            # with it.
            await asyncio.wait([before])
        for run_id in [key for key, task in self._tasks.items() if task.done()]:
            self._tasks.pop(run_id).result()
        self._tasks[run.run_id] = asyncio.create_task(self._task(place, run))

    async def _task(self, place: str, run: FoundRun) -> None:
        try:
            await self._record(place, run)
        except _REFUSED as e:
            self._report.refuse(place, e)
        finally:
            self._room.release()

    async def _record(self, place: str, run: FoundRun) -> None:
        if run.earlier_id is not None and await self._has(run.earlier_id, run.digest):
            self._report.unchanged += 1
            return
        known = await self._known(run)
        if known is not None:
            await self._again(place, run, known)
            return
        commands = list(run.commands())
        await self._register(run)
        try:
            outcome = await self._execute(run.run_id, commands, fresh=True)
        except Conflict:
            # Another process may import the same source.
            known = await self._known(run)
            if known is None:
                raise
            await self._again(place, run, known)
            return
        self._report.recorded += 1
        self._report.events += outcome

    async def _again(self, place: str, run: FoundRun, known: _Known) -> None:
        if known.organization != self._actor.organization or (
            run.digest is not None and known.digest != run.digest
        ):
            raise ContentConflict("run", run.run_id)
        new: list[Timed] = []
        if run.digest is None and not known.deleted:
            new = list(_unrecorded(run.commands(), known))
            for differs in _differences(run.commands(), known):
                self._report.refuse(place, differs)
        events = await self._execute(run.run_id, new, fresh=False) if new else 0
        self._report.events += events
        if events:
            self._report.extended += 1
        else:
            self._report.unchanged += 1

    async def _execute(self, run_id: str, commands: Sequence[Timed], *, fresh: bool) -> int:
        times, orders = zip(*commands, strict=True)
        batch = CommandBatch(self._actor, run_id, orders, times=times)
        return len((await self._handler.execute(batch, fresh=fresh)).events)

    async def _known(self, run: FoundRun) -> _Known | None:
        # A run with a digest is recorded in one append, so its first event is enough.
        upto = None if run.digest is None else 1
        stored = await asyncio.to_thread(self._store.read_stream, run.run_id, 0, upto, False)
        known: _Known | None = None
        for row in stored:
            known = _fold(known, row.event)
        return known

    async def _has(self, run_id: str, digest: str | None) -> bool:
        first = await asyncio.to_thread(self._store.read_stream, run_id, 0, 1, False)
        return any(
            isinstance(row.event, RunCreated)
            and row.event.organization == self._actor.organization
            and row.event.metadata.get(DIGEST) == digest
            for row in first
        )

    async def _register(self, run: FoundRun) -> None:
        # Registered before the first run, not with it: 64 runs that all register their agent would
        # conflict with each other.
        if run.agent_id in self._agents:
            return
        try:
            await self._handler.agent(self._actor, run.agent_id)
        except NotFound:
            await self._handler.register_agent(
                self._actor, agent_id=run.agent_id, name=run.agent_name
            )
        self._agents.add(run.agent_id)


def _fold(known: _Known | None, event: Event) -> _Known:
    if isinstance(event, RunCreated):
        return _Known(event.organization, event.metadata.get(DIGEST))
    assert known is not None
    if isinstance(event, StepRecorded):
        known.steps[event.step_id] = event
    elif isinstance(event, MessagesRecorded):
        known.messages.update(message.message_id for message in event.messages)
    elif isinstance(event, _ENDS):
        known.closed = True
    elif isinstance(event, RunDeleted):
        known.deleted = True
    return known


def _unrecorded(commands: Iterable[Timed], known: _Known) -> Iterator[Timed]:
    """Yield the commands that are new for the run: steps, messages, and its end if it has none."""
    for time, command in commands:
        if isinstance(command, c.RecordStep | c.RecordMessages):
            messages = [m for m in command.messages if m.id not in known.messages]
            if isinstance(command, c.RecordStep) and command.step_id not in known.steps:
                yield time, c.RecordStep(command.step_id, command.facts, messages)
            elif messages:
                yield time, c.RecordMessages(messages)
        elif isinstance(command, c.CompleteRun | c.FailRun | c.CancelRun):
            if not known.closed:
                yield time, command
        elif not isinstance(command, c.CreateRun | c.StartRun):
            yield time, command


def _differences(commands: Iterable[Timed], known: _Known) -> Iterator[str]:
    """Yield a sentence for each recorded step whose source now has other token counts."""
    for _, command in commands:
        if not isinstance(command, c.RecordStep) or command.step_id not in known.steps:
            continue
        step = known.steps[command.step_id]
        for name in _COUNTS:
            given, recorded = command.facts.get(name), getattr(step, name)
            if given is not None and given != recorded:
                yield (
                    f"{command.step_id}: {name}: expected {recorded}, as recorded, found {given}; "
                    "a recorded step is not changed"
                )
