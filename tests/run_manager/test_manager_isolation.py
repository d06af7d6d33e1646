"""Two organizations never see, count, cancel, page over or infer each other's runs.

Every public method of the ledger and of the facade is tried, on a run of somebody else and beside
it: a method without a case here fails the first test.
"""

import inspect
from datetime import UTC, datetime, timedelta

import pytest

from runledger import RunLedger
from runledger.compat import (
    AgentManager,
    FeedbackType,
    LettaAgentNotFoundError,
    Message,
    MessageManager,
    Run,
    RunManager,
    RunUpdate,
    StepManager,
    UsageStatistics,
    User,
)
from runledger.errors import ContentConflict, NotFound
from runledger.ids import new_id
from runledger.records import RunDurations

START = datetime(2026, 1, 1, tzinfo=UTC)

UNSCOPED = {
    "open": "makes a ledger; nothing is open yet",
    "sql": "asks all organizations, for the analyst who holds the file anyway",
    "sql_rows": "as sql",
    "project": "answers with a position of the log",
    "verify": "compares the read models of all organizations with the log",
    "replay": "projects the log of all organizations again",
    "generation": "describes a file of read models, as the four below do",
    "generations": "",
    "compare_generation": "",
    "switch_generation": "",
    "drop_generation": "",
    "publish": "copies that file",
    "export_parquet": "writes every table of that file",
    "parked": "names streams that are left out of that file",
    "retry_parked": "puts them back",
    "archive": "keeps the log of all organizations, as `verify_archive` reads it",
    "verify_archive": "",
    "store": "the log itself",
    "handler": "every order names its actor",
    "read_models": "the file itself",
    "operator": "works on that file and on the whole log",
    "part": "the object behind some of these methods",
    "actor": "the actor of calls that name no other",
    "as_actor": "names another one for all calls",
    "image_bytes": "needs the SHA-256 of the bytes, which only a reader of the message knows",
}

# Calls on a run of another organization: refused as if it were not there.
ON_A_RUN = {
    "cancel_run": {},
    "complete_run": {},
    "delete_run": {},
    "fail_run": {},
    "get_callback": {},
    "get_run_by_id": {},
    "get_run_messages": {},
    "get_run_metrics": {},
    "get_run_request_config": {},
    "get_run_steps": {},
    "get_run_usage": {},
    "get_run_with_status": {},
    "get_stored_messages": {},
    "patch_metadata": {"patch": {"mine": 1}},
    "record_heartbeat": {},
    "record_run_feedback": {"feedback": "positive"},
    "redeliver_callback": {},
    "record_messages": {"messages": [{"role": "user", "content": "hi"}]},
    "record_step": {"prompt_tokens": 5},
    "start_run": {},
    "start_step": {},
    "update_run": {"metadata": {"mine": 1}},
}

# Calls that name no run: (arguments from what the other organization has, the empty answer).
BESIDE = {
    "cancel_runs": (lambda theirs: {"agent_id": theirs.agent_id}, []),
    "duration_percentiles": (lambda theirs: {}, []),
    "expire_approvals": (lambda theirs: {"at": START + timedelta(days=9999)}, []),
    "expire_runs": (lambda theirs: {"older_than": timedelta(0)}, []),
    "list_agents": (lambda theirs: {}, []),
    "list_callbacks": (lambda theirs: {}, []),
    "redeliver_callbacks": (lambda theirs: {}, []),
    "list_runs": (lambda theirs: {}, []),
    "list_views": (lambda theirs: {}, []),
    "list_own_prices": (lambda theirs: {}, []),
    "list_price_changes": (lambda theirs: {}, []),
    "list_steps": (lambda theirs: {"run_id": theirs.run_id}, []),
    "run_durations": (
        lambda theirs: {},
        RunDurations(runs=0, p50=None, p90=None, p95=None, p99=None),
    ),
    "usage_totals": (lambda theirs: {}, []),
}

# Calls with a test of their own below.
OWN_TEST = {
    "follow_log",
    "follow_run",
    "create_run",
    "get_agent",
    "get_model_prices",
    "get_step",
    "get_view",
    "record_step_feedback",
    "register_agent",
    "remove_view",
    "run",
    "runs",
    "save_view",
    "set_prices",
}

FACADE = {
    RunManager: {
        "cancel_run",
        "create_run",
        "delete_run",
        "get_run_by_id",
        "get_run_messages",
        "get_run_metrics_async",
        "get_run_request_config",
        "get_run_steps",
        "get_run_usage",
        "get_run_with_status",
        "list_runs",
        "update_run_by_id_async",
    },
    StepManager: {
        "add_feedback_async",
        "get_step_async",
        "get_step_metrics_async",
        "list_steps_async",
        "log_step_async",
    },
    MessageManager: {"create_many_messages_async", "create_message_async", "list_messages"},
    AgentManager: {"get_agent_by_id_async"},
}


def public(cls: type) -> set[str]:
    return {name for name, _ in inspect.getmembers(cls) if not name.startswith("_")}


def test_every_public_method_has_a_case_here():
    cases = ON_A_RUN.keys() | BESIDE.keys() | OWN_TEST | UNSCOPED.keys()
    assert public(RunLedger) == cases
    for manager, methods in FACADE.items():
        assert public(manager) == methods


async def their_run(stranger, agent):
    """A run with everything that a run can have, in somebody else's organization."""
    call = {"id": "c", "function": {"name": "pay", "arguments": "{}"}}
    run = await stranger.create_run(
        agent,
        project_id="their-project",
        conversation_id=new_id("conv"),
        hold_conversation=True,
        metadata={"secret": 1},
        request_config={"use_assistant_message": True},
        at=START,
    )
    await stranger.record_step(
        run.run_id,
        model="their-model",
        prompt_tokens=7,
        messages=[{"role": "approval", "tool_calls": [call]}],
        approval_deadline=START,
        at=START,
    )
    ended = await stranger.create_run(
        agent, status="completed", run_ns=5, at=START, callback_url="https://example.com/theirs"
    )
    return await stranger.get_run_by_id(run.run_id), ended


def pasts(ledger, name: str) -> list[dict]:
    """Return the questions about the present and, where a method takes it, about the past."""
    takes = "as_of" in inspect.signature(getattr(ledger, name)).parameters
    return [{}, {"as_of": datetime.now(UTC)}] if takes else [{}]


@pytest.mark.parametrize("name", sorted(ON_A_RUN))
async def test_a_foreign_run_is_not_there(ledger, stranger, agent, name):
    theirs, _ = await their_run(stranger, agent)
    answers = set()
    for run_id in (theirs.run_id, new_id("run")):
        for past in pasts(ledger, name):
            with pytest.raises(NotFound) as caught:
                await getattr(ledger, name)(run_id, **ON_A_RUN[name], **past)
            answers.add(str(caught.value).replace(run_id, "…"))
    # A foreign run and one that nobody has are told apart by nothing.
    assert len(answers) == 1
    assert await stranger.get_run_by_id(theirs.run_id) == theirs


@pytest.mark.slow
async def test_what_others_have_is_not_counted(ledger, stranger, agent):
    theirs, ended = await their_run(stranger, agent)
    before = await stranger.list_runs()
    assert {run.run_id for run in before} == {theirs.run_id, ended.run_id}
    for name, (arguments, nothing) in BESIDE.items():
        for past in pasts(ledger, name):
            assert await getattr(ledger, name)(**arguments(theirs), **past) == nothing, name
    assert await stranger.list_runs() == before


async def test_no_filter_reaches_over_and_no_cursor_does(ledger, stranger, agent):
    theirs, ended = await their_run(stranger, agent)
    for asked in (
        {"run_id": theirs.run_id},
        {"agent_id": agent},
        {"conversation_id": theirs.conversation_id},
        {"project_id": "their-project"},
        {"tools_used": ["pay"]},
    ):
        assert await ledger.list_runs(**asked) == []
    for cursor in ("after", "before"):
        with pytest.raises(NotFound):
            await ledger.list_runs(**{cursor: theirs.run_id})
        with pytest.raises(NotFound):
            await ledger.list_runs(order_by="duration", **{cursor: ended.run_id})
    mine = await ledger.create_run(agent, stop_reason="end_turn", run_ns=1)
    assert await ledger.list_runs(duration_percentile=100) == [mine]


async def test_a_conversation_of_others_is_neither_busy_nor_theirs_to_free(ledger, stranger, agent):
    theirs, _ = await their_run(stranger, agent)
    held = {"conversation_id": theirs.conversation_id, "hold_conversation": True}
    mine = await ledger.create_run(new_id("agent"), **held)
    assert await ledger.cancel_runs(conversation_id=theirs.conversation_id) != []
    assert (await ledger.get_run_by_id(mine.run_id)).status == "cancelled"
    assert await stranger.get_run_by_id(theirs.run_id) == theirs


async def test_a_step_of_others_is_neither_found_nor_a_cursor(ledger, stranger, agent, steps, user):
    await their_run(stranger, agent)
    (step,) = await stranger.list_steps()
    mine = await ledger.create_run(agent)
    answers = set()
    for step_id in (step.step_id, new_id("step")):
        for call in (
            ledger.get_step(step_id),
            steps.get_step_async(step_id, user),
            steps.add_feedback_async(step_id, FeedbackType.NEGATIVE, user),
            ledger.record_step_feedback(step_id, "negative"),
            ledger.record_step_feedback(step_id, "negative", run_id=mine.run_id),
            steps.get_step_metrics_async(user, step_id),
            ledger.list_steps(after=step_id),
            steps.list_steps_async(user, before=step_id),
        ):
            with pytest.raises(NotFound) as caught:
                await call
            answers.add(str(caught.value).replace(step_id, "…"))
    assert len(answers) <= 3  # One for each way of saying it, none for whose it is.
    assert await stranger.get_step(step.step_id) == step


async def test_an_id_that_others_took_is_refused_without_a_word_about_whose_it_is(
    ledger, stranger, agent
):
    theirs, _ = await their_run(stranger, agent)
    mine = await ledger.create_run(agent, metadata={"a": 1})
    refusals = []
    for run_id in (theirs.run_id, mine.run_id):
        for make in (ledger.create_run, lambda agent, **facts: ledger.run(
            agent_id=agent, **facts).__aenter__()):  # fmt: skip
            with pytest.raises(ContentConflict) as caught:
                await make(agent, run_id=run_id)
            refusals.append(str(caught.value).replace(run_id, "…"))
    assert len(set(refusals)) == 1


async def test_an_agent_is_known_only_where_it_was_registered(ledger, stranger, agent):
    await stranger.register_agent(agent, name="theirs", project_id="their-project")
    with pytest.raises(NotFound):
        await ledger.get_agent(agent)
    assert (await ledger.create_run(agent)).project_id is None
    await ledger.register_agent(agent, name="mine")
    assert (await stranger.get_agent(agent)).name == "theirs"
    assert (await ledger.get_agent(agent)).name == "mine"


async def test_own_prices_are_of_one_organization(ledger, stranger):
    row = {"provider": "acme", "model": "x", "unit": "input", "price": "7"}
    await stranger.set_prices([row])
    assert await ledger.list_own_prices() == await ledger.list_price_changes() == []
    with pytest.raises(NotFound):
        await ledger.get_model_prices("x", provider="acme")
    await ledger.set_prices([{**row, "price": "8"}])
    (theirs,), (mine,) = [await o.get_model_prices("acme/x") for o in (stranger, ledger)]
    assert (theirs.input, mine.input) == (7, 8)


async def test_a_view_is_of_one_organization(ledger, stranger):
    theirs = await stranger.save_view("slow", "total_tokens = 7")
    assert await ledger.list_views() == []
    with pytest.raises(NotFound) as caught:
        await ledger.get_view("slow")
    with pytest.raises(NotFound) as unknown:
        await ledger.get_view("none")
    assert str(caught.value).replace("slow", "…") == str(unknown.value).replace("none", "…")
    assert await ledger.remove_view("slow") is False
    mine = await ledger.save_view("slow", "status = 'failed'")
    assert await ledger.remove_view("slow") is True
    assert mine.text == "status = 'failed'"
    assert await stranger.list_views() == [theirs]


async def test_a_query_that_is_asked_later_sees_one_organization(ledger, stranger, agent):
    theirs, ended = await their_run(stranger, agent)
    for where in ({}, {"where": "any_step(model = 'their-model') OR true"}):
        query = ledger.runs(**where)
        assert [run async for run in query] == []
    assert {run.run_id async for run in stranger.runs()} == {theirs.run_id, ended.run_id}


async def test_the_facade_reaches_over_nowhere(ledger, stranger, manager, steps, messages, user):
    agent = new_id("agent")
    theirs, _ = await their_run(stranger, agent)
    run_id = theirs.run_id
    text = Message(role="user", content="hi", run_id=run_id)
    for call in (
        manager.cancel_run(user, run_id=run_id),
        manager.delete_run(run_id, user),
        manager.get_run_by_id(run_id, user),
        manager.get_run_messages(run_id, user),
        manager.get_run_metrics_async(run_id, user),
        manager.get_run_request_config(run_id, user),
        manager.get_run_steps(run_id, user),
        manager.get_run_usage(run_id, user),
        manager.get_run_with_status(run_id, user),
        manager.update_run_by_id_async(run_id, RunUpdate(metadata={"mine": 1}), user),
        manager.list_runs(user, after=run_id),
        manager.list_runs(user, before=run_id),
        steps.list_steps_async(user, run_id=run_id),
        steps.log_step_async(
            user, agent, "p", "base", "m", None, 1, UsageStatistics(), run_id=run_id
        ),
        messages.create_many_messages_async([text], user),
        messages.create_message_async(text, user),
        messages.list_messages(user, run_id=run_id),
    ):
        with pytest.raises(NotFound) as caught:
            await call
        assert "their" not in str(caught.value)
        assert user.id not in str(caught.value)
    with pytest.raises(LettaAgentNotFoundError):
        await AgentManager(ledger).get_agent_by_id_async(agent, user)
    assert await manager.cancel_run(user, agent_id=agent) is None
    assert await manager.list_runs(user) == []
    with pytest.raises(ContentConflict):
        await manager.create_run(Run(id=run_id, agent_id=agent), user)
    assert await stranger.get_run_by_id(run_id) == theirs
    colleague = User(organization_id=stranger.actor.organization)
    assert (await manager.get_run_by_id(run_id, colleague)).metadata == {"secret": 1}
