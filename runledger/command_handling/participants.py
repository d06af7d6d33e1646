"""The agent and the conversation of a run: their cached state, and the run's writes to them."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final, Literal, TypeVar

from runledger.errors import ConversationBusy, InvalidArgument, NotFound
from runledger.events import (
    AgentRegistered,
    ConversationClaimed,
    ConversationOpened,
    ConversationReleased,
    Event,
    RunCancelled,
    RunCompleted,
    RunDeleted,
    RunFailed,
)
from runledger.ids import check_id
from runledger.run import Envelope, Run
from runledger.run.commands import CreateRun
from runledger.run.parties import (
    Agent,
    Conversation,
    agent_stream,
    conversation_stream,
    fold_agent,
    fold_conversation,
)
from runledger.run.rules import stamped
from runledger.store import Store
from runledger.store.codec import encode
from runledger.store.protocol import Append, StreamWrite

UnknownAgents = Literal["register", "reject"]
MAX_KNOWN: Final = 20_000
"""Agents, and conversations, kept in memory."""
AGENT_SECONDS: Final = 60.0
"""Seconds for which an agent is cached; changes by other processes are not notified."""

_ENDS: Final = (RunCompleted, RunFailed, RunCancelled, RunDeleted)
_T = TypeVar("_T")


class Participants:
    """Agents and conversations, cached; the store refuses writes that are based on a stale one."""

    def __init__(self, store: Store, unknown_agents: UnknownAgents) -> None:
        self._store = store
        self._unknown_agents = unknown_agents
        self._agents: dict[str, Agent] = {}
        self._agents_since = time.monotonic()
        self._conversations: dict[str, Conversation] = {}

    def forget(self, writes: Append | None = None) -> None:
        """Invalidate the cached entries that these writes touched, or all of them."""
        if writes is None:
            self._agents.clear()
            self._conversations.clear()
        for write in writes or ():
            self._agents.pop(write.stream, None)
            self._conversations.pop(write.stream, None)

    async def agent(self, organization: str, agent_id: str, *, fresh: bool = False) -> Agent | None:
        """Return an agent, or None if it is unknown; `fresh` reads it even if it is cached."""
        if time.monotonic() - self._agents_since > AGENT_SECONDS:
            self._agents.clear()
            self._agents_since = time.monotonic()
        if fresh:
            self._agents.pop(agent_stream(organization, agent_id), None)
        return await self._known(agent_stream(organization, agent_id), self._agents, fold_agent)

    async def conversation(self, organization: str, conversation_id: str) -> Conversation | None:
        """Return the conversation, or None."""
        stream = conversation_stream(organization, conversation_id)
        return await self._known(stream, self._conversations, fold_conversation)

    async def _known(
        self, stream: str, cache: dict[str, _T], fold: Callable[[_T | None, int, Event], _T]
    ) -> _T | None:
        if stream in cache:
            return cache[stream]
        state: _T | None = None
        for row in await asyncio.to_thread(self._store.read_stream, stream):
            state = fold(state, row.version, row.event)
        if state is not None:
            if len(cache) >= MAX_KNOWN:
                cache.clear()
            cache[stream] = state
        return state

    async def registration(self, registered: AgentRegistered) -> tuple[Agent, Append]:
        """Return the agent, and its append, which is empty if the last registration is the same."""
        known = await self.agent(registered.organization, registered.agent_id)
        version = known.version if known else 0
        if known is not None and fold_agent(known, version, registered) == known:
            return known, ()
        stream = agent_stream(registered.organization, registered.agent_id)
        write = StreamWrite(stream, version, (encode(registered),))
        return fold_agent(known, version + 1, registered), (write,)

    async def open(
        self, envelope: Envelope, run_id: str, command: CreateRun
    ) -> tuple[str | None, Append]:
        """Check the agent and conversation of a run to be created.

        Returns the agent's project id, and the appends in addition to the run's own events.

        Raises:
            NotFound: if the agent must be registered and is not.
            InvalidArgument: if the run is to hold a conversation that another agent has held.
            ConversationBusy: if the run is to hold a conversation that another run holds.
        """
        agent = await self.agent(envelope.actor.organization, command.agent_id)
        writes: Append = ()
        if agent is None:
            if self._unknown_agents == "reject":
                raise NotFound("agent", command.agent_id, "register it first")
            agent, writes = await self.registration(
                stamped(
                    AgentRegistered,
                    envelope,
                    agent_id=command.agent_id,
                    project_id=command.project_id,
                )
            )
        if command.conversation_id is not None:
            check_id("conversation", command.conversation_id)
        # A run that does not hold its conversation only refers to it: agents of other systems share
        # conversations, and their imports would conflict with each other in its stream.
        if command.hold_conversation:
            writes += await self._hold(envelope, run_id, command)
        return agent.project_id or command.project_id, writes

    async def _hold(self, envelope: Envelope, run_id: str, command: CreateRun) -> Append:
        if command.conversation_id is None:
            raise InvalidArgument("hold_conversation: expected a conversation_id beside it")
        conversation_id, organization = command.conversation_id, envelope.actor.organization
        known = await self.conversation(organization, conversation_id)
        names = {"conversation_id": conversation_id}
        events: list[Event] = []
        if known is None:
            events.append(
                ConversationOpened(**envelope.stamp(), **names, agent_id=command.agent_id)
            )
        elif known.agent_id != command.agent_id:
            raise InvalidArgument(
                f"conversation {conversation_id!r}: expected its agent {known.agent_id!r}, "
                f"found {command.agent_id!r}; a run without hold_conversation may name it"
            )
        elif known.holder is not None:
            raise ConversationBusy(conversation_id, known.holder)
        events.append(ConversationClaimed(**envelope.stamp(), **names, run_id=run_id))
        version = known.version if known else 0
        stream = conversation_stream(organization, conversation_id)
        return (StreamWrite(stream, version, tuple(encode(event) for event in events)),)

    async def close(self, envelope: Envelope, run: Run | None, events: Sequence[Event]) -> Append:
        """Release the conversation in the append that ends or deletes the run that holds it."""
        if run is None or not run.holds_conversation or run.conversation_id is None:
            return ()
        if not any(isinstance(event, _ENDS) for event in events):
            return ()
        stream = conversation_stream(run.organization, run.conversation_id)
        # Read again: a conversation that was cached before its claim would never be released.
        self._conversations.pop(stream, None)
        known = await self.conversation(run.organization, run.conversation_id)
        if known is None or known.holder != run.run_id:
            return ()
        released = ConversationReleased(
            **envelope.stamp(), conversation_id=run.conversation_id, run_id=run.run_id
        )
        return (StreamWrite(stream, known.version, (encode(released),)),)
