"""AgentManager: the part of the replaced server's agent manager that runs need."""

from typing import Any

from runledger.compat.argument_types import enforce_types
from runledger.compat.manager import Manager
from runledger.compat.records import actor_of, agent_of
from runledger.compat.schemas import AgentState


class AgentManager(Manager):
    """Reads agents; a run registers its agent, RunLedger.register_agent adds more facts."""

    @enforce_types
    async def get_agent_by_id_async(
        self,
        agent_id: str,
        actor: Any,
        include_relationships: list[str] | None = None,  # noqa: ARG002
    ) -> AgentState:
        """Return an agent, with the stop reason of its run that ended last."""
        whose = actor_of(actor)
        async with self._ledger() as ledger:
            await ledger.get_agent(agent_id, actor=whose)
            (row,) = await ledger.list_agents(agent_id=agent_id, actor=whose)
        return agent_of(row)
