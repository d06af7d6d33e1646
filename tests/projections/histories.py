"""Random legal histories: commands on a few runs, decided by the real rules under a fake clock."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from runledger.errors import LedgerError
from runledger.events import (
    AgentRegistered,
    ConversationClaimed,
    ConversationOpened,
    ConversationReleased,
    Event,
)
from runledger.ids import derived_id
from runledger.run import Actor, Envelope, Run, decide, evolve
from runledger.run import commands as c
from runledger.run.parties import (
    Conversation,
    agent_stream,
    conversation_stream,
    fold_conversation,
)
from runledger.store import Store, arrow
from runledger.store.codec import decode, encode
from runledger.store.protocol import Append, Recorded, StoredEvent, StreamWrite
from tests.projections.moves import BEGIN, Move, RegisterAgent, moves

ORGANIZATIONS = ("org-a", "org-b")


@dataclass
class History:
    """A log in memory: what was appended together, and every event with its position."""

    appends: list[Append] = field(default_factory=list)
    rows: list[tuple[int, str, int, str, bytes]] = field(default_factory=list)
    runs: dict[str, Run] = field(default_factory=dict)

    def add(self, append: Append) -> None:
        """Append writes as a store does: in order, positions without a gap."""
        self.appends.append(append)
        for write in append:
            for version, event in enumerate(write.events, write.expected + 1):
                row = (len(self.rows) + 1, write.stream, version, event.topic, event.facts)
                self.rows.append(row)

    @property
    def head(self) -> int:
        """The last position."""
        return len(self.rows)

    def events(self, upto: int | None = None) -> list[StoredEvent]:
        """Return the decoded events up to a position."""
        return [
            StoredEvent(position, stream, version, decode(stream, version, topic, facts, None))
            for position, stream, version, topic, facts in self.rows[:upto]
        ]

    def record(self, store: Store) -> None:
        """Append everything to a store."""
        for append in self.appends:
            (verdict,) = store.append([append])
            assert isinstance(verdict, Recorded), verdict

    # What an engine reads from: the history is its own log reader.
    def read(self, after: int, upto: int, limit: int) -> Any:
        """Return the next events as Arrow, or None."""
        rows = self.rows[after:upto][:limit]
        if not rows:
            return None
        position, stream, version, topic, facts = zip(*rows, strict=True)
        return arrow.table(
            position=arrow.int64(position),
            stream=arrow.string(stream),
            version=arrow.int64(version),
            topic=arrow.string(topic),
            facts=arrow.binary(facts),
        )

    def close(self) -> None:
        """Do nothing: there is no connection."""


class Author:
    """Plays moves; what the rules refuse is left out, as a caller who is told no goes on."""

    def __init__(self) -> None:
        self.history = History()
        self._now = BEGIN
        self._ids = 0
        self._agents: dict[str, tuple[int, str | None, str | None]] = {}
        self._conversations: dict[str, Conversation] = {}

    def play(self, move: Move) -> None:
        """Append what follows from a move, if anything does."""
        self._now += move.wait
        envelope = Envelope(
            Actor(ORGANIZATIONS[move.run % len(ORGANIZATIONS)]),
            self._now + move.skew,
            self._now,
            next_id=self._next_id,
        )
        if isinstance(move.command, RegisterAgent):
            made = self._register(envelope, move.command)
            if made:
                self.history.add(made)
            return
        run_id = derived_id("run", str(move.run))
        run = self.history.runs.get(run_id)
        if run is None and not isinstance(move.command, c.CreateRun):
            self._execute(run_id, c.CreateRun(f"agent-{move.run % 3}"), envelope)
        self._execute(run_id, move.command, envelope)

    def _next_id(self) -> str:
        self._ids += 1
        return f"e{self._ids}"

    def _execute(self, run_id: str, command: c.Command, envelope: Envelope) -> None:
        run = self.history.runs.get(run_id)
        if run is not None and run.deleted:
            return
        beside: Append = ()
        if run is None:
            assert isinstance(command, c.CreateRun)
            joined = self._join(envelope, run_id, command)
            if joined is None:
                return
            beside = joined + self._register(
                envelope, RegisterAgent(command.agent_id, None, None), once=True
            )
        try:
            events = decide(run, command, envelope)
        except LedgerError:
            return
        if not events:
            return
        held = run is not None and run.holds_conversation
        seen = run.version if run else 0
        for version, event in enumerate(events, seen + 1):
            run = evolve(run, run_id, version, event)
        assert run is not None
        self.history.runs[run_id] = run
        if held and not run.holds_conversation:
            assert run.conversation_id is not None
            name = run.conversation_id
            freed = ConversationReleased(**envelope.stamp(), conversation_id=name, run_id=run_id)
            beside = self._converse(conversation_stream(run.organization, name), freed)
        self.history.add((_write(run_id, seen, events), *beside))

    def _register(self, envelope: Envelope, asked: RegisterAgent, once: bool = False) -> Append:
        stream = agent_stream(envelope.actor.organization, asked.agent_id)
        version, *known = self._agents.get(stream, (0, None, None))
        if version and (once or known == [asked.name, asked.project_id]):
            return ()
        self._agents[stream] = (version + 1, asked.name, asked.project_id)
        event = AgentRegistered(
            **envelope.stamp(),
            agent_id=asked.agent_id,
            name=asked.name,
            project_id=asked.project_id,
        )
        return (_write(stream, version, [event]),)

    def _join(self, envelope: Envelope, run_id: str, command: c.CreateRun) -> Append | None:
        """Return what a run writes to its conversation, None where that refuses it."""
        name = command.conversation_id
        if name is None:
            return None if command.hold_conversation else ()
        stream = conversation_stream(envelope.actor.organization, name)
        known = self._conversations.get(stream)
        events: list[Event] = []
        if known is None:
            agent_id = command.agent_id
            events.append(
                ConversationOpened(**envelope.stamp(), conversation_id=name, agent_id=agent_id)
            )
        elif known.agent_id != command.agent_id or (known.holder and command.hold_conversation):
            return None
        if command.hold_conversation:
            events.append(
                ConversationClaimed(**envelope.stamp(), conversation_id=name, run_id=run_id)
            )
        return self._converse(stream, *events)

    def _converse(self, stream: str, *events: Event) -> Append:
        if not events:
            return ()
        known = self._conversations.get(stream)
        version = known.version if known else 0
        for number, event in enumerate(events, version + 1):
            known = fold_conversation(known, number, event)
        assert known is not None
        self._conversations[stream] = known
        return (_write(stream, version, events),)


def _write(stream: str, expected: int, events: Sequence[Event]) -> StreamWrite:
    return StreamWrite(stream, expected, tuple(encode(event) for event in events))


def play(given: Sequence[Move]) -> History:
    """Return the history that moves come to."""
    author = Author()
    for move in given:
        author.play(move)
    return author.history


histories: st.SearchStrategy[History] = (
    st.one_of(*(st.lists(moves, min_size=size, max_size=60) for size in (1, 10, 30)))
    .map(play)
    .filter(lambda made: made.head > 0)
)
"""Legal histories of up to some hundred events, from a few runs of two organizations."""
