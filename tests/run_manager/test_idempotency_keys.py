"""A command with an idempotency key happens once, whatever happens between its repeats."""

import asyncio
from contextlib import suppress

import pytest

from runledger.command_handling.claimed_keys import ClaimedKeys
from runledger.errors import Conflict, IdempotencyKeyReused, InvalidArgument, NotFound
from runledger.ids import new_id

# Name → arguments, and others that are other content.
COMMANDS = {
    "start_run": ({}, None),
    "start_step": ({"model": "gpt"}, {"model": "claude"}),
    "record_step": (
        {"prompt_tokens": 3, "messages": [{"role": "user", "content": "hi"}]},
        {"prompt_tokens": 4},
    ),
    "record_messages": (
        {"messages": [{"role": "user", "content": "hi"}, {"role": "user", "content": "ho"}]},
        {"messages": [{"role": "user", "content": "hi"}]},
    ),
    "patch_metadata": ({"patch": {"a": 1}, "remove": {"b", "c"}}, {"patch": {"a": 3}}),
    "record_heartbeat": ({}, None),
    "record_run_feedback": ({"feedback": "positive"}, {"feedback": "negative"}),
    "complete_run": ({"stop_reason": "max_steps"}, {}),
    "fail_run": ({"error_type": "Boom"}, {"error_type": "Bang"}),
    "cancel_run": ({"reason": "stop"}, {"reason": "no"}),
    "update_run": ({"metadata": {"a": 1}}, {"metadata": {"a": 2}}),
}


@pytest.mark.parametrize("name", sorted(COMMANDS))
async def test_a_repeat_changes_nothing_after_the_run_has_gone_on(ledger, agent, name):
    run = await ledger.create_run(agent, metadata={"b": 0})
    arguments, other = COMMANDS[name]
    command = getattr(ledger, name)
    before = ledger.store.head()
    first = await command(run.run_id, **arguments, idempotency_key="k 1")
    assert ledger.store.head() > before
    await ledger.patch_metadata(run.run_id, {"a": 2})
    await ledger.record_run_feedback(run.run_id, None)
    with suppress(Conflict):
        await ledger.complete_run(run.run_id)
    head = ledger.store.head()
    again = await command(run.run_id, **arguments, idempotency_key="k 1", expected_version=1)
    assert ledger.store.head() == head
    assert (await ledger.get_run_by_id(run.run_id)).metadata["a"] == 2
    if name == "cancel_run":
        assert (first.outcome, again.outcome) == ("cancelled", "cancelled")
    elif isinstance(first, str | list):
        assert first == again  # The same ids.
    if other is not None:
        with pytest.raises(IdempotencyKeyReused, match=run.run_id):
            await command(run.run_id, **other, idempotency_key="k 1")
    assert ledger.store.head() == head


async def test_a_run_is_created_once(ledger, agent):
    first = await ledger.create_run(agent, status="running", idempotency_key="k")
    await ledger.complete_run(first.run_id)
    again = await ledger.create_run(agent, status="running", exist_ok=True, idempotency_key="k")
    assert (again.run_id, again.status) == (first.run_id, "completed")
    assert len(await ledger.list_runs()) == 1
    with pytest.raises(IdempotencyKeyReused):
        await ledger.create_run(agent, metadata={"a": 1}, idempotency_key="k")
    assert (await ledger.create_run(agent, idempotency_key="l")).run_id != first.run_id
    with pytest.raises(InvalidArgument, match="found both"):
        await ledger.create_run(agent, correlation_id="c", idempotency_key="m")


async def test_a_deletion_is_repeated_and_nothing_else_of_a_deleted_run(ledger, agent):
    run = await ledger.create_run(agent)
    await ledger.start_run(run.run_id, idempotency_key="start")
    for _ in range(2):
        await ledger.delete_run(run.run_id, idempotency_key="delete")
    with pytest.raises(NotFound):
        await ledger.start_run(run.run_id, idempotency_key="start")


async def test_a_key_is_an_organization_s_own(ledger, stranger, agent):
    mine = await ledger.create_run(agent, idempotency_key="k")
    theirs = await stranger.create_run(agent, idempotency_key="k")
    assert mine.run_id != theirs.run_id
    with pytest.raises(NotFound):
        await stranger.start_run(mine.run_id, idempotency_key="l")


async def test_a_key_of_one_run_is_refused_for_another(ledger, agent):
    one, other = [await ledger.create_run(agent) for _ in range(2)]
    await ledger.start_run(one.run_id, idempotency_key="k")
    head = ledger.store.head()
    with pytest.raises(IdempotencyKeyReused, match=one.run_id) as reused:
        await ledger.start_run(other.run_id, idempotency_key="k")
    assert (reused.value.run_id, reused.value.holder) == (other.run_id, one.run_id)
    with pytest.raises(IdempotencyKeyReused):
        await ledger.create_run(agent, idempotency_key="k")
    assert ledger.store.head() == head
    await ledger.start_run(one.run_id, idempotency_key="k")
    # What was refused used up no key.
    with pytest.raises(NotFound):
        await ledger.start_run(new_id("run"), idempotency_key="l")
    assert (await ledger.start_run(other.run_id, idempotency_key="l")).status == "running"


def test_the_keys_used_longest_ago_are_forgotten_first():
    keys = ClaimedKeys(most=2)
    for key in ("a", "b", "a", "c"):
        with keys.claim(key, f"run of {key}"):
            pass
    with keys.claim("b", "another run"), pytest.raises(IdempotencyKeyReused):
        with keys.claim("c", "another run"):
            pass


async def test_what_is_no_key_is_refused(ledger, agent):
    run = await ledger.create_run(agent)
    for wrong in ("", " a", "x" * 256, "a\n", "a\r\nb", "\u00e9", 1, b"k"):
        with pytest.raises(InvalidArgument, match="idempotency_key"):
            await ledger.start_run(run.run_id, idempotency_key=wrong)
        with pytest.raises(InvalidArgument, match="idempotency_key"):
            await ledger.record_messages(run.run_id, [], idempotency_key=wrong)


async def test_many_at_once_with_one_key_are_one(own_ledger):
    """Over two ledgers on one store, as two servers would be."""
    async with own_ledger(read_models=False) as one, own_ledger(read_models=False) as other:
        made = await asyncio.gather(
            *(led.create_run("agent-a", idempotency_key="k") for led in [one, other] * 4)
        )
        (run_id,) = {run.run_id for run in made}
        message = {"role": "user", "content": "hi"}
        ids = await asyncio.gather(
            *(
                led.record_messages(run_id, [message], idempotency_key="m")
                for led in [one, other] * 4
            )
        )
        assert len({tuple(found) for found in ids}) == 1
        await asyncio.gather(
            *(led.record_heartbeat(run_id, idempotency_key="h") for led in [one, other] * 4)
        )
        topics = [row.event.topic for row in one.store.read_stream(run_id)]
        assert topics == ["run.created", "run.messages_recorded", "run.heartbeat_recorded"]


async def test_a_repeat_is_recognised_by_a_ledger_that_was_opened_later(own_ledger):
    async with own_ledger(read_models=False) as ledger:
        run = await ledger.create_run("agent-a")
        await ledger.record_heartbeat(run.run_id, idempotency_key="h")
        await ledger.complete_run(run.run_id)
    async with own_ledger(read_models=False) as ledger:
        await ledger.record_heartbeat(run.run_id, idempotency_key="h")
        assert (await ledger.get_run_by_id(run.run_id)).version == 3


async def test_a_step_is_judged_once(ledger, agent):
    run = await ledger.create_run(agent)
    step_id = await ledger.record_step(run.run_id)
    await ledger.record_step_feedback(step_id, "positive", idempotency_key="f")
    await ledger.record_step_feedback(step_id, "negative")
    judged = await ledger.record_step_feedback(step_id, "positive", idempotency_key="f")
    assert judged.feedback == "negative"
    with pytest.raises(NotFound):
        await ledger.record_step_feedback(new_id("step"), "positive", idempotency_key="g")
