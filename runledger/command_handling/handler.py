"""The command handler: load the run, decide, append; on a conflict, catch up and decide again."""

import asyncio
import copy
import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final, NamedTuple
from weakref import WeakValueDictionary

from runledger.command_handling.batch import CommandBatch, Outcome
from runledger.command_handling.claimed_keys import ClaimedKeys
from runledger.command_handling.participants import Participants, UnknownAgents
from runledger.command_handling.run_cache import RunCache
from runledger.errors import (
    ConcurrentAppend,
    ContentConflict,
    IdempotencyKeyReused,
    InvalidArgument,
    LedgerError,
    NotFound,
    UndecodableEvent,
    VersionConflict,
)
from runledger.events import AgentRegistered, Event, RunDeleted
from runledger.ids import check_id
from runledger.run import Actor, Envelope, Run, decide, evolve
from runledger.run.commands import (
    CancelRun,
    Command,
    CompleteRun,
    CreateRun,
    DeleteRun,
    FailRun,
    RecordMessages,
    RecordStep,
)
from runledger.run.envelope import in_utc
from runledger.run.parties import Agent
from runledger.run.rules import stamped
from runledger.storable import storable
from runledger.store import Store
from runledger.store.appender import Appender
from runledger.store.codec import encode
from runledger.store.protocol import Append, Conflicted, StreamWrite, Verdict

_LOG: Final = logging.getLogger("runledger.command_handling")
MAX_ATTEMPTS: Final = 25
"""Attempts per command before it fails because of concurrent writers."""

Clock = Callable[[], datetime]


def now() -> datetime:
    """Return the current time, with its zone."""
    return datetime.now(UTC)


class _Decision(NamedTuple):
    """The result of deciding a batch; `folded` says whether `run` includes the events already."""

    run: Run | None
    events: Sequence[Event]
    beside: Append
    folded: bool


class CommandHandler:
    """Executes commands against one store, for any number of tasks of one event loop."""

    def __init__(
        self, store: Store, *, clock: Clock = now, unknown_agents: UnknownAgents = "register"
    ) -> None:
        self._store = store
        self._appender = Appender(store)
        self._clock = clock
        self._runs = RunCache()
        self._epoch = store.epoch
        self._participants = Participants(store, unknown_agents)
        self._keys = ClaimedKeys()
        # Tasks of this process that change one run use its lock; across processes the store
        # decides.
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def close(self) -> None:
        """Finish the submitted appends, then stop."""
        self._appender.close()

    def envelope(
        self, actor: Actor, at: datetime | None = None, correlation_id: str | None = None
    ) -> Envelope:
        """Return the envelope of a command that is executed now."""
        recorded_at = in_utc("clock", self._clock())
        occurred_at = recorded_at if at is None else in_utc("at", at)
        return Envelope(actor, occurred_at, recorded_at, correlation_id, at is not None)

    async def load(self, actor: Actor, run_id: str) -> Run:
        """Return the run as folded from its current stream, or raise NotFound."""
        check_id("run", run_id)
        return _visible(await self._refresh(run_id), actor, run_id)

    async def agent(self, actor: Actor, agent_id: str) -> Agent:
        """Return a registered agent, or raise NotFound."""
        check_id("agent", agent_id)
        found = await self.known_agent(actor.organization, agent_id)
        if found is None:
            raise NotFound("agent", agent_id)
        return found

    async def known_agent(self, organization: str, agent_id: str) -> Agent | None:
        """Return an agent, or None if it is unknown."""
        return await self._participants.agent(organization, agent_id, fresh=True)

    async def append(self, append: Append) -> Verdict:
        """Record encoded events as they are (imports of the ledger's own format)."""
        return await self._appender.submit(append)

    async def execute(self, batch: CommandBatch, *, fresh: bool = False) -> Outcome:
        """Execute a batch; `fresh` says that its run id was just made up, so nothing is read."""
        run_id = check_id("run", batch.run_id)
        if batch.receipt is None:
            return await self._in_turn(batch, fresh)
        with self._keys.claim(batch.receipt.key, run_id):
            return await self._in_turn(batch, fresh)

    async def _in_turn(self, batch: CommandBatch, fresh: bool) -> Outcome:
        run_id = batch.run_id
        turn = self._turns.get(run_id)
        if turn is None:
            turn = self._turns[run_id] = asyncio.Lock()
        async with turn:
            try:
                return await self._execute_storable(batch, fresh)
            except UndecodableEvent as e:
                deletes = list(batch.commands) == [DeleteRun()]
                # If a run cannot be read, no caller can know its version.
                if e.stream != run_id or not deletes or batch.expected_version is not None:
                    raise
                return await self._delete_unreadable(batch, e)

    async def _execute_storable(self, batch: CommandBatch, fresh: bool) -> Outcome:
        """Execute a batch; if it is refused, and its texts cannot be stored, store them escaped.

        If such a batch is repeated, it contradicts the stored content, because its texts are not
        escaped.
        """
        try:
            return await self._execute(batch, fresh)
        except (InvalidArgument, ContentConflict):
            escaped = storable(batch)
            if escaped is batch:
                raise
        return await self._execute(escaped, fresh)

    async def _execute(self, batch: CommandBatch, fresh: bool) -> Outcome:
        run_id = batch.run_id
        epoch = self._forget_lost()
        run = None if fresh else self._runs.get(run_id) or await self._refresh(run_id)
        for attempt in range(MAX_ATTEMPTS):
            outcome = await self._attempt(batch, run, epoch, last_word=attempt > 0)
            if isinstance(outcome, Outcome):
                return outcome
            epoch = self._forget_lost()
            run = await self._refresh(run_id)
        raise ConcurrentAppend(*outcome)

    async def _delete_unreadable(
        self, batch: CommandBatch, unreadable: UndecodableEvent
    ) -> Outcome:
        """Delete a run whose events can be read only up to a certain event.

        A deletion needs no more, and it is the only way to release the conversation of such a run.
        """
        run_id, seen = batch.run_id, unreadable.version
        before = await asyncio.to_thread(self._store.read_stream, run_id, 0, seen - 1, False)
        for _ in range(MAX_ATTEMPTS):
            run = _fold(None, run_id, [(row.version, row.event) for row in before])
            if run is None:
                raise unreadable
            _, events, beside, _ = await self._decide(batch, run)
            own = StreamWrite(run_id, seen, tuple(encode(event) for event in events))
            verdict = await self._appender.submit((own, *beside))
            self._participants.forget(beside)
            if not isinstance(verdict, Conflicted):
                return Outcome(run, tuple(events), verdict.last)
            if verdict.stream == run_id:
                seen = verdict.found
                await self._expect_not_deleted(run_id, seen)
        raise ConcurrentAppend(*verdict)

    async def _expect_not_deleted(self, run_id: str, last: int) -> None:
        with suppress(UndecodableEvent):
            (row,) = await asyncio.to_thread(self._store.read_stream, run_id, last - 1, last, False)
            if isinstance(row.event, RunDeleted):
                raise NotFound("run", run_id)

    async def register_agent(self, actor: Actor, **facts: str | None) -> Agent:
        """Append an agent's registration unless the same one is the last; return the agent."""
        for _ in range(MAX_ATTEMPTS):
            envelope = self.envelope(storable(actor))
            registered = stamped(AgentRegistered, envelope, **storable(facts))
            agent, append = await self._participants.registration(registered)
            if not append:
                return agent
            verdict = await self._appender.submit(append)
            self._participants.forget(append)
            if not isinstance(verdict, Conflicted):
                return agent
        raise ConcurrentAppend(*verdict)

    def _forget_lost(self) -> int:
        """Discard all caches after the log was reset to an earlier state; return the new epoch."""
        if self._epoch != self._store.epoch:
            self._epoch = self._store.epoch
            self._runs.clear()
            self._participants.forget()
        return self._epoch

    async def _refresh(self, run_id: str) -> Run | None:
        """Fold the events that were appended to the stream since the run was last read.

        The last folded event is read again with them. If it is missing, the log was reset to an
        earlier state, and the run is read from the beginning.
        """
        run, last = self._runs.get(run_id), self._runs.last_event(run_id)
        after = run.version - 1 if run else 0
        stored = await asyncio.to_thread(self._store.read_stream, run_id, after, None, False)
        if run is not None and not (stored and stored[0].event.event_id == last):
            _LOG.warning(
                "run %s: expected the event that was read at version %d, found %s: the log has "
                "gone back; the run is read again",
                run_id,
                after + 1,
                "another one" if stored else "none",
            )
            self._runs.discard(run_id)
            self._participants.forget()
            stored = await asyncio.to_thread(self._store.read_stream, run_id, 0, None, False)
        run = _fold(self._runs.get(run_id), run_id, [(row.version, row.event) for row in stored])
        if run is not None and stored and run.version == stored[-1].version:
            self._runs.put(run, stored[-1].event.event_id)
        return run

    async def _attempt(
        self, batch: CommandBatch, run: Run | None, epoch: int, *, last_word: bool
    ) -> Outcome | Conflicted:
        seen = run.version if run else 0
        if run is not None and _receipted(batch, run):
            return Outcome(run, (), None, repeated=True)
        try:
            decision = await self._decide(batch, run)
        except LedgerError as e:
            if last_word or isinstance(e, InvalidArgument):
                raise
            # Refused on a possibly outdated state: read again before raising.
            self._participants.forget()
            return Conflicted(batch.run_id, seen, seen)
        after, events, beside, folded = decision
        if not events:
            assert after is not None
            return Outcome(after, (), None)
        expected = batch.expected_version
        if expected is not None and expected != seen:
            if not last_word:
                return Conflicted(batch.run_id, seen, seen)
            raise VersionConflict(batch.run_id, expected, seen)
        own = StreamWrite(batch.run_id, seen, tuple(encode(event) for event in events))
        try:
            verdict = await self._appender.submit((own, *beside), epoch)
        except BaseException:
            # It is unknown whether it was recorded: the next command reads the stream.
            self._runs.discard(batch.run_id)
            self._participants.forget(beside)
            raise
        self._participants.forget(beside)
        if isinstance(verdict, Conflicted):
            return verdict
        if not folded:
            after = _fold(after, batch.run_id, list(enumerate(events, seen + 1)))
        assert after is not None
        self._runs.put(after, events[-1].event_id)
        return Outcome(after, tuple(events), verdict.last)

    async def _decide(self, batch: CommandBatch, run: Run | None) -> _Decision:
        """Decide every command of the batch, each on the state after the ones before it.

        A single command is decided on the cached run itself, and the events are folded once they
        are recorded: copying a run of 10,000 steps for each step would make a step cost as much as
        the run.
        """
        folds = run is None or len(batch.commands) > 1
        seen = run.version if run else 0
        scratch = copy.deepcopy(run) if folds else run
        envelope = self.envelope(batch.actor, batch.at, batch.correlation)
        events: list[Event] = []
        beside: Append = ()
        for number, given in enumerate(batch.commands):
            command = given
            if batch.times:
                envelope = self.envelope(batch.actor, batch.times[number], batch.correlation)
            if isinstance(command, CreateRun):
                if any(
                    isinstance(other, CompleteRun | FailRun | CancelRun) for other in batch.commands
                ):
                    # It ends in the append that creates it, so it never holds a conversation.
                    command = dataclasses.replace(command, hold_conversation=False)
                if scratch is not None and scratch.organization != batch.actor.organization:
                    raise ContentConflict("run", batch.run_id)
                command, beside = await self._open(envelope, batch.run_id, scratch, command)
            else:
                scratch = _visible(scratch, batch.actor, batch.run_id)
            repeated = _repeated(scratch, command)
            priors = await self._priors(batch.run_id, repeated, seen, events) if repeated else {}
            decided = decide(scratch, command, envelope, priors)
            if folds:
                version = (scratch.version if scratch else 0) + 1
                scratch = _fold(scratch, batch.run_id, list(enumerate(decided, version)))
            events += decided
        beside += await self._participants.close(envelope, run, events)
        return _Decision(scratch, events, beside, folds)

    async def _open(
        self, envelope: Envelope, run_id: str, run: Run | None, command: CreateRun
    ) -> tuple[CreateRun, Append]:
        check_id("agent", command.agent_id)
        beside: Append = ()
        if run is not None:
            # The caller that repeats a creation does not know the project derived from the agent.
            project_id = run.project_id
        else:
            project_id, beside = await self._participants.open(envelope, run_id, command)
        return dataclasses.replace(command, project_id=project_id), beside

    async def _priors(
        self, run_id: str, versions: Mapping[str, int], seen: int, decided: Sequence[Event]
    ) -> dict[str, Event]:
        """Return the events that recorded natural keys, stored or decided in this batch."""
        priors = {}
        for key, version in versions.items():
            if version > seen:
                priors[key] = decided[version - seen - 1]
                continue
            (stored,) = await asyncio.to_thread(
                self._store.read_stream, run_id, version - 1, version
            )
            priors[key] = stored.event
        return priors


def _repeated(run: Run | None, command: Command) -> dict[str, int]:
    """Return which natural keys the command repeats, and the versions that recorded them."""
    versions: dict[str, int] = {}
    if run is None:
        return versions
    if isinstance(command, CreateRun):
        versions[run.run_id] = 1
    elif isinstance(command, (RecordStep, RecordMessages)):
        if isinstance(command, RecordStep) and command.step_id in run.steps:
            versions[command.step_id] = run.steps[command.step_id]
        for message in command.messages:
            if message.id in run.messages:
                versions[message.id] = run.messages[message.id]
    return versions


def _receipted(batch: CommandBatch, run: Run) -> bool:
    """Whether the run has the receipt of the batch; IdempotencyKeyReused for other content."""
    if batch.receipt is None or (run.deleted and list(batch.commands) != [DeleteRun()]):
        return False
    content = run.receipts.get(batch.receipt.key)
    if content is not None and content != batch.receipt.content:
        raise IdempotencyKeyReused(batch.run_id)
    return content is not None


def _fold(run: Run | None, run_id: str, events: Sequence[tuple[int, Event]]) -> Run | None:
    """Fold events by version, each once: another task may have folded some from the stream."""
    for version, event in events:
        if version == (run.version if run else 0) + 1:
            run = evolve(run, run_id, version, event)
    return run


def _visible(run: Run | None, actor: Actor, run_id: str) -> Run:
    if run is None or run.deleted or run.organization != actor.organization:
        raise NotFound("run", run_id)
    return run
