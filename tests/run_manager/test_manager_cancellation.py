"""Cancelling: truthful, idempotent, and everything that follows from it in one append."""

import asyncio
import json

import pytest

from runledger.errors import AlreadyEnded, InvalidArgument, NotFound, ReadModelsMissing
from runledger.ids import new_id

REASON = "The user cancelled the request, so the tool call was denied."


def calls(*ids: str) -> list[dict]:
    return [{"id": id, "function": {"name": f"tool_{id}", "arguments": "{}"}} for id in ids]


async def said_of_calls(ledger, run_id: str) -> list[tuple]:
    """Return the rows of a run's calls: id, status, approved, denied."""
    question = "SELECT tool_call_id, status, approved, denied FROM tool_calls"
    return (await ledger.sql(f"{question} WHERE run_id = '{run_id}' ORDER BY ALL"))[1]


async def waiting_run(ledger, agent, **facts) -> str:
    """A run whose assistant made two calls, one of which waits for approval."""
    run = await ledger.create_run(agent, status="running", **facts)
    await ledger.record_messages(
        run.run_id,
        [
            {"role": "assistant", "content": "both", "tool_calls": calls("free")},
            {"role": "approval", "tool_calls": calls("asked")},
        ],
    )
    await ledger.complete_run(run.run_id, stop_reason="requires_approval")
    return run.run_id


async def events_of(ledger, run_id):
    stored = await asyncio.to_thread(ledger.store.read_stream, run_id)
    return [row.event for row in stored]


async def test_a_cancel_is_one_append_of_everything_that_follows(ledger, agent):
    conversation = new_id("conv")
    run = await ledger.create_run(agent, conversation_id=conversation, hold_conversation=True)
    await ledger.record_messages(run.run_id, [{"role": "assistant", "tool_calls": calls("c1")}])
    before = await asyncio.to_thread(ledger.store.head)
    outcome, record = await ledger.cancel_run(run.run_id, reason="enough")
    appended = await asyncio.to_thread(ledger.store.read_log, before, 100)
    assert (outcome, record.status, record.stop_reason) == ("cancelled", "cancelled", "cancelled")
    assert [row.topic for row in appended] == [
        "run.cancelled",
        "run.tool_calls_denied",
        "run.messages_recorded",
        "conversation.released",
    ]
    times = {json.loads(row.facts)["recorded_at"] for row in appended}
    assert len(times) == 1


async def test_a_cancel_denies_the_call_that_waits_and_the_one_before_it(ledger, agent):
    run_id = await waiting_run(ledger, agent)
    await ledger.cancel_run(run_id)
    asking, answer = (await ledger.get_stored_messages(run_id))[-2:]
    request = (await ledger.get_stored_messages(run_id))[1]
    assert asking.role == "approval"
    assert asking.approval_request_id == request.id
    assert [(a.tool_call_id, a.approve, a.reason) for a in asking.approvals] == [
        ("asked", False, REASON)
    ]
    assert answer.role == "tool"
    assert [r.tool_call_id for r in answer.tool_returns] == ["free", "asked"]
    for returned in answer.tool_returns:
        assert returned.status == "error"
        assert REASON in json.loads(returned.func_response)["message"]
    assert (await ledger.get_run_by_id(run_id)).status == "cancelled"


async def test_a_call_that_was_granted_is_not_refused_but_answered(ledger, agent):
    run_id = await waiting_run(ledger, agent)
    await ledger.record_messages(
        run_id,
        [{"role": "approval", "approvals": [{"tool_call_id": "asked", "approve": True,
                                             "type": "approval"}]}],
    )  # fmt: skip
    await ledger.cancel_run(run_id)
    *_, last = await ledger.get_stored_messages(run_id)
    answers = [m for m in await ledger.get_stored_messages(run_id) if m.approvals]
    assert [a.approve for m in answers for a in m.approvals] == [True]
    assert [r.tool_call_id for r in last.tool_returns] == ["free", "asked"]


async def test_a_cancel_takes_back_no_grant_and_counts_as_no_answer_where_nobody_was_asked(
    ledger, agent
):
    run_id = await waiting_run(ledger, agent)
    call = {"role": "approval", "tool_calls": calls("granted")}
    grant = {"type": "approval", "tool_call_id": "granted", "approve": True}
    await ledger.record_messages(run_id, [call, {"role": "approval", "approvals": [grant]}])
    await ledger.cancel_run(run_id)
    assert await said_of_calls(ledger, run_id) == [
        ("asked", "denied", False, True),
        ("free", "denied", None, True),
        ("granted", "denied", True, True),
    ]


@pytest.mark.parametrize("approve", [True, False])
async def test_an_answer_to_a_whole_request_answers_each_of_its_open_calls(ledger, agent, approve):
    run_id = await waiting_run(ledger, agent)
    request = {"id": new_id("message"), "role": "approval", "tool_calls": calls("a", "b", "done")}
    returned = {"role": "tool", "tool_call_id": "done", "content": "at the client's"}
    answer = {"role": "approval", "approve": approve, "approval_request_id": request["id"]}
    # In the append of the request, and after it.
    await ledger.record_messages(run_id, [request, returned, answer])
    asked = (await ledger.get_stored_messages(run_id))[1]
    await ledger.record_messages(run_id, [{**answer, "approval_request_id": asked.id}])
    answered = ("open", True, False) if approve else ("denied", False, True)
    assert await said_of_calls(ledger, run_id) == [
        ("a", *answered),
        ("asked", *answered),
        ("b", *answered),
        ("done", "success", None, False),
        ("free", "open", None, False),
    ]
    await ledger.cancel_run(run_id)
    last_answer, last = (await ledger.get_stored_messages(run_id))[-2:]
    assert last_answer.approve is approve  # nothing is refused beside it
    open_calls = ["free", "asked", "a", "b"] if approve else ["free"]
    assert [r.tool_call_id for r in last.tool_returns] == open_calls


async def test_an_answer_to_a_request_of_another_run_says_nothing_of_this_one(ledger, agent):
    run_id = await waiting_run(ledger, agent)
    answers = [
        {"role": "approval", "approve": True, "approval_request_id": new_id("message")},
        {"role": "approval", "approve": True},
    ]
    await ledger.record_messages(run_id, answers)
    assert await said_of_calls(ledger, run_id) == [
        ("asked", "open", None, False),
        ("free", "open", None, False),
    ]


async def test_an_answer_without_a_call_stays_open_until_a_return_comes(ledger, agent):
    run_id = await waiting_run(ledger, agent)
    grant = {"type": "approval", "tool_call_id": "elsewhere", "approve": True}
    await ledger.record_messages(run_id, [{"role": "approval", "approvals": [grant]}])
    await ledger.cancel_run(run_id)
    assert ("elsewhere", "open", True, False) in await said_of_calls(ledger, run_id)
    returned = {"role": "tool", "tool_call_id": "elsewhere", "content": "done"}
    await ledger.record_messages(run_id, [returned])
    assert ("elsewhere", "success", True, False) in await said_of_calls(ledger, run_id)
    named = f"SELECT count(*) FROM tool_calls WHERE run_id = '{run_id}' AND name IS NOT NULL"
    assert (await ledger.sql(named))[1] == [(2,)]


async def test_repeated_cancels_leave_one_set_of_denials(ledger, agent):
    run_id = await waiting_run(ledger, agent)
    first = await ledger.cancel_run(run_id)
    recorded = await ledger.get_stored_messages(run_id)
    again = await ledger.cancel_run(run_id)
    assert (first.outcome, again.outcome) == ("cancelled", "already_ended")
    assert again.run == first.run
    assert await ledger.get_stored_messages(run_id) == recorded


async def test_two_concurrent_cancels_leave_one_set_of_denials(own_ledger, agent):
    async with own_ledger(read_models=False) as one, own_ledger(read_models=False) as other:
        for _ in range(5):
            run_id = await waiting_run(one, agent)
            results = await asyncio.gather(one.cancel_run(run_id), other.cancel_run(run_id))
            assert sorted(r.outcome for r in results) == ["already_ended", "cancelled"]
            topics = [event.topic for event in await events_of(one, run_id)]
            assert topics.count("run.cancelled") == topics.count("run.tool_calls_denied") == 1
            assert len(await one.get_stored_messages(run_id)) == 4


async def test_a_cancel_against_an_end_has_one_winner(own_ledger, agent):
    async with own_ledger(read_models=False) as one, own_ledger(read_models=False) as other:
        for _ in range(5):
            run = await one.create_run(agent, status="running")
            cancel, end = await asyncio.gather(
                one.cancel_run(run.run_id), other.complete_run(run.run_id), return_exceptions=True
            )
            final = await one.get_run_by_id(run.run_id)
            if cancel.outcome == "cancelled":
                assert isinstance(end, AlreadyEnded)
                assert final.status == "cancelled"
            else:
                assert cancel.run == end == final


async def test_a_failed_run_is_not_flipped_by_a_cancel(ledger, agent):
    run = await ledger.create_run(agent)
    failed = await ledger.fail_run(run.run_id)
    outcome, record = await ledger.cancel_run(run.run_id)
    assert (outcome, record) == ("already_ended", failed)


async def test_a_completed_run_is_said_to_have_ended_before(ledger, agent):
    run = await ledger.create_run(agent)
    await ledger.complete_run(run.run_id, stop_reason="max_steps")
    outcome, record = await ledger.cancel_run(run.run_id)
    assert (outcome, record.status, record.stop_reason) == (
        "already_ended", "completed", "max_steps")  # fmt: skip


async def test_a_run_that_waits_for_approval_can_be_cancelled_and_keeps_its_duration(ledger, agent):
    run_id = await waiting_run(ledger, agent)
    waited = await ledger.get_run_by_id(run_id)
    _, cancelled = await ledger.cancel_run(run_id)
    assert (waited.status, cancelled.status) == ("completed", "cancelled")
    assert (cancelled.run_ns, cancelled.completed_at) == (waited.run_ns, waited.completed_at)
    assert (await ledger.list_runs())[0] == cancelled


async def test_a_cancel_by_agent_cancels_every_open_run_of_it(ledger, agent):
    other = new_id("agent")
    open_runs = [(await ledger.create_run(agent)).run_id for _ in range(3)]
    waiting = await waiting_run(ledger, agent)
    ended = await ledger.create_run(agent, status="completed")
    theirs = await ledger.create_run(other)
    results = await ledger.cancel_runs(agent_id=agent, reason="stop")
    assert [r.run.run_id for r in results] == [waiting, *open_runs[::-1]]
    assert {r.outcome for r in results} == {"cancelled"}
    assert (await ledger.get_run_by_id(ended.run_id)).status == "completed"
    assert (await ledger.get_run_by_id(theirs.run_id)).status == "created"
    assert await ledger.cancel_runs(agent_id=agent) == []


async def test_a_cancel_outside_conversations_leaves_those_in_one_alone(ledger, agent):
    inside = await ledger.create_run(agent, conversation_id=new_id("conv"))
    outside = [(await ledger.create_run(agent)).run_id, await waiting_run(ledger, agent)]
    results = await ledger.cancel_runs(agent_id=agent, without_conversation=True)
    assert [r.run.run_id for r in results] == outside[::-1]
    assert (await ledger.get_run_by_id(inside.run_id)).status == "created"
    with pytest.raises(InvalidArgument, match="beside an agent_id"):
        await ledger.cancel_runs(conversation_id="conv-1", without_conversation=True)
    with pytest.raises(InvalidArgument, match="without_conversation"):
        await ledger.cancel_runs(agent_id=agent, without_conversation="yes")


async def test_a_cancel_in_a_conversation_unblocks_it(ledger, agent):
    conversation = new_id("conv")
    run_id = await waiting_run(ledger, agent, conversation_id=conversation, hold_conversation=True)
    elsewhere = await ledger.create_run(agent, conversation_id=new_id("conv"))
    (result,) = await ledger.cancel_runs(conversation_id=conversation)
    assert (result.outcome, result.run.run_id) == ("cancelled", run_id)
    assert (await ledger.get_stored_messages(run_id))[-1].role == "tool"
    assert (await ledger.get_run_by_id(elsewhere.run_id)).status == "created"
    again = await ledger.create_run(agent, conversation_id=conversation, hold_conversation=True)
    assert again.status == "created"


async def test_cancelling_one_run_answers_no_call_of_another(ledger, agent):
    waiting = await waiting_run(ledger, agent)
    other = await ledger.create_run(agent)
    recorded = await ledger.get_stored_messages(waiting)
    await ledger.cancel_run(other.run_id)
    assert await ledger.get_stored_messages(other.run_id) == []
    assert await ledger.get_stored_messages(waiting) == recorded
    assert (await ledger.get_run_by_id(waiting)).stop_reason == "requires_approval"


async def test_the_agent_shows_the_cancellation_as_its_last_stop_reason(ledger, agent):
    run_id = await waiting_run(ledger, agent)
    assert (await ledger.list_agents(agent_id=agent))[0].last_stop_reason == "requires_approval"
    await ledger.cancel_run(run_id)
    (shown,) = await ledger.list_agents(agent_id=agent)
    assert (shown.last_stop_reason, shown.last_run_id) == ("cancelled", run_id)


async def test_a_cancel_needs_to_know_what(ledger, agent):
    with pytest.raises(InvalidArgument, match="an agent_id or a conversation_id"):
        await ledger.cancel_runs()
    with pytest.raises(InvalidArgument, match="an agent_id or a conversation_id"):
        await ledger.cancel_runs(agent_id=agent, conversation_id="conv-1")
    with pytest.raises(NotFound):
        await ledger.cancel_run(new_id("run"))


async def test_a_cancel_by_agent_says_that_it_needs_read_models(own_ledger, agent):
    async with own_ledger(read_models=False) as ledger:
        run = await ledger.create_run(agent)
        with pytest.raises(ReadModelsMissing, match="read_models=PATH"):
            await ledger.cancel_runs(agent_id=agent)
        assert (await ledger.cancel_run(run.run_id)).outcome == "cancelled"
