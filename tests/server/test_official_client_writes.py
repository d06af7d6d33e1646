"""What the official client can change: cancel, judge, delete."""

import letta_client
import pytest
from letta_client import Letta
from running import RunningServer

AGENT = "agent-a"


@pytest.fixture
def letta(server: RunningServer) -> Letta:
    return server.letta()


def _run(server: RunningServer, agent: str = AGENT, conversation: str | None = None) -> str:
    made = server.do(server.ledger.create_run(agent, conversation_id=conversation))
    return made.run_id


def _status(server: RunningServer, run_id: str) -> str:
    return server.do(server.ledger.get_run_by_id(run_id)).status


def test_all_open_runs_of_an_agent(server: RunningServer, letta: Letta) -> None:
    first, second, other = _run(server), _run(server), _run(server, "agent-b")
    assert letta.agents.messages.cancel(AGENT) == {first: "cancelled", second: "cancelled"}
    assert _status(server, other) == "created"
    with pytest.raises(letta_client.ConflictError, match="No active runs to cancel"):
        letta.agents.messages.cancel(AGENT)


def test_every_run_is_checked_before_any_is_cancelled(server: RunningServer, letta: Letta) -> None:
    mine, foreign = _run(server), _run(server, "agent-b")
    missing = "run-00000000-0000-4000-8000-000000000000"
    for bad, error in (
        (foreign, letta_client.NotFoundError),
        (missing, letta_client.NotFoundError),
        ("run-1", letta_client.BadRequestError),
    ):
        with pytest.raises(error):
            letta.agents.messages.cancel(AGENT, run_ids=[mine, bad])
        assert _status(server, mine) == "created"
    assert letta.agents.messages.cancel(AGENT, run_ids=[mine]) == {mine: "cancelled"}
    assert letta.agents.messages.cancel(AGENT, run_ids=[mine]) == {mine: "already_ended"}


def test_a_conversation_and_what_lies_outside_of_any(server: RunningServer, letta: Letta) -> None:
    inside, outside = _run(server, conversation="conv-1"), _run(server)
    assert letta.conversations.cancel("default", agent_id=AGENT) == {outside: "cancelled"}
    again = _run(server)
    assert letta.conversations.cancel(AGENT) == {again: "cancelled"}
    assert letta.conversations.cancel("conv-1") == {inside: "cancelled"}
    with pytest.raises(letta_client.ConflictError):
        letta.conversations.cancel("conv-1")
    with pytest.raises(letta_client.UnprocessableEntityError):
        letta.conversations.cancel("default")


def test_feedback(server: RunningServer, letta: Letta) -> None:
    run_id = _run(server)
    step_id = server.do(server.ledger.record_step(run_id, model="m"))
    judged = letta.steps.feedback.create(step_id, feedback="negative", tags=["slow"])
    assert (judged.feedback, judged.tags) == ("negative", ["slow"])
    assert [step.id for step in letta.steps.list(feedback="negative")] == [step_id]
    assert [step.id for step in letta.steps.list(has_feedback=True)] == [step_id]
    assert letta.steps.feedback.create(step_id, feedback=None).feedback is None
    assert not list(letta.steps.list(has_feedback=True))


def test_deleting_answers_what_the_client_can_read(server: RunningServer, letta: Letta) -> None:
    run_id = _run(server)
    assert letta.delete(f"/v1/runs/{run_id}", cast_to=object) is None
    with pytest.raises(letta_client.NotFoundError):
        letta.runs.retrieve(run_id)
    assert not list(letta.runs.list())
