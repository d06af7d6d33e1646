"""Cancelling as the official client asks for it: the runs of an agent, or of a conversation."""

from collections.abc import Iterable
from typing import Final, Literal

from runledger.errors import NotFound
from runledger.ids import check_id
from runledger.records import Cancellation
from runledger.server.call import Call
from runledger.server.refusal import Refusal
from runledger.server.route import Lenient, Route

Outcomes = dict[str, Literal["cancelled", "already_ended"]]
"""Run id → what came of it."""


class RunIds(Lenient):
    """The runs to cancel; without, all open ones of the agent."""

    run_ids: list[str] | None = None


class AgentDirect(Lenient):
    """The agent that is meant by the conversation `default`."""

    agent_id: str | None = None


async def cancel_agent_runs(call: Call[Lenient, RunIds]) -> Outcomes:
    """Cancel runs of an agent: these, or all that are open. All are checked before any ends."""
    agent_id = check_id("agent", call.names["agent_id"])
    if not call.body.run_ids:
        done = await call.ledger.cancel_runs(agent_id=agent_id, actor=call.actor)
        return _outcomes(done, f"agent {agent_id}")
    run_ids = [check_id("run", run_id) for run_id in call.body.run_ids]
    for run_id in run_ids:
        if (await call.ledger.get_run_by_id(run_id, actor=call.actor)).agent_id != agent_id:
            raise NotFound("run", run_id)
    return {
        run_id: (await call.ledger.cancel_run(run_id, actor=call.actor)).outcome
        for run_id in run_ids
    }


async def cancel_conversation(call: Call[AgentDirect, None]) -> Outcomes:
    """Cancel the open runs of a conversation; `default` means those of an agent without one."""
    named = call.names["conversation_id"]
    agent_id = named if named.startswith("agent-") else call.query.agent_id
    if named == "default" and agent_id is None:
        raise Refusal(422, "agent_id: expected the agent that `default` is about")
    if named not in ("default", agent_id):
        check_id("conversation", named)
        done = await call.ledger.cancel_runs(conversation_id=named, actor=call.actor)
        return _outcomes(done, f"conversation {named}")
    assert agent_id is not None
    check_id("agent", agent_id)
    done = await call.ledger.cancel_runs(
        agent_id=agent_id, without_conversation=True, actor=call.actor
    )
    return _outcomes(done, f"agent {agent_id}")


def _outcomes(done: Iterable[Cancellation], of: str) -> Outcomes:
    found: Outcomes = {one.run.run_id: one.outcome for one in done}
    if not found:
        raise Refusal(409, f"No active runs to cancel for {of}")
    return found


ROUTES: Final = (
    Route(
        "POST",
        "/v1/agents/{agent_id}/messages/cancel",
        "agents_messages_cancel",
        cancel_agent_runs,
        scope="runs:write",
        body=RunIds,
        answer=Outcomes,
        errors=(400, 403, 404, 409, 422, 501),
    ),
    Route(
        "POST",
        "/v1/conversations/{conversation_id}/cancel",
        "conversations_cancel",
        cancel_conversation,
        scope="runs:write",
        query=AgentDirect,
        answer=Outcomes,
        errors=(400, 403, 409, 422, 501),
    ),
)
