"""The other two streams: an agent, and a conversation with the run that holds it. Pure folds."""

from dataclasses import dataclass

from runledger.events import (
    AgentRegistered,
    ConversationClaimed,
    ConversationOpened,
    ConversationReleased,
    Event,
)


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent as its organization registered it."""

    agent_id: str
    version: int
    project_id: str | None = None
    name: str | None = None
    agent_type: str | None = None


@dataclass(frozen=True, slots=True)
class Conversation:
    """The one agent whose runs may hold the conversation, and the run that holds it now."""

    conversation_id: str
    version: int
    agent_id: str
    holder: str | None = None


def agent_stream(organization: str, agent_id: str) -> str:
    """Return the stream of an agent; two organizations may use the same agent id."""
    return f"{organization}/{agent_id}"


def conversation_stream(organization: str, conversation_id: str) -> str:
    """Return the stream of a conversation; two organizations may use the same id."""
    return f"{organization}/{conversation_id}"


def fold_agent(_agent: Agent | None, version: int, event: Event) -> Agent:
    """Fold one event of an agent's stream; the last registration is current."""
    assert isinstance(event, AgentRegistered)
    return Agent(event.agent_id, version, event.project_id, event.name, event.agent_type)


def fold_conversation(
    conversation: Conversation | None, version: int, event: Event
) -> Conversation:
    """Fold one event of a conversation's stream."""
    if isinstance(event, ConversationOpened):
        return Conversation(event.conversation_id, version, event.agent_id)
    assert conversation is not None
    assert isinstance(event, ConversationClaimed | ConversationReleased)
    holder = event.run_id if isinstance(event, ConversationClaimed) else None
    return Conversation(conversation.conversation_id, version, conversation.agent_id, holder)
