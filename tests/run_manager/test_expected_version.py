"""A command that expects a version is recorded at that version, or not at all."""

import asyncio

import pytest

from runledger.errors import AlreadyEnded, InvalidArgument, VersionConflict
from runledger.ids import new_id

COMMANDS = {
    "start_run": {},
    "start_step": {},
    "record_step": {},
    "record_messages": {"messages": [{"role": "user", "content": "hi"}]},
    "patch_metadata": {"patch": {"a": 1}},
    "record_heartbeat": {},
    "record_run_feedback": {"feedback": "positive"},
    "complete_run": {},
    "fail_run": {},
    "cancel_run": {},
    "update_run": {"metadata": {"a": 1}},
    "delete_run": {},
}


@pytest.mark.parametrize("name", sorted(COMMANDS))
async def test_another_version_is_refused_and_nothing_is_recorded(ledger, agent, name):
    run = await ledger.create_run(agent)
    await ledger.patch_metadata(run.run_id, {"n": 1})
    head = ledger.store.head()
    command = getattr(ledger, name)
    for wrong in (1, 3):
        with pytest.raises(VersionConflict) as refused:
            await command(run.run_id, **COMMANDS[name], expected_version=wrong)
        assert (refused.value.expected, refused.value.found) == (wrong, 2)
        assert run.run_id in str(refused.value)
    assert ledger.store.head() == head
    await command(run.run_id, **COMMANDS[name], expected_version=2)
    assert ledger.store.head() > head


async def test_the_version_counts_the_events_of_the_run(ledger, agent):
    run = await ledger.create_run(agent)
    assert run.version == 1
    step_id = await ledger.record_step(run.run_id)
    judged = await ledger.record_step_feedback(step_id, "positive", expected_version=2)
    assert judged.feedback == "positive"
    with pytest.raises(VersionConflict):
        await ledger.record_step_feedback(step_id, "negative", expected_version=2)
    found = await ledger.get_run_by_id(run.run_id)
    assert found.version == 3
    assert await ledger.list_runs(agent_id=agent) == [found]
    for wrong in (0, -1, True, "2"):
        with pytest.raises(InvalidArgument, match="expected_version"):
            await ledger.start_run(run.run_id, expected_version=wrong)


async def test_a_repeat_changes_nothing_at_any_version(ledger, agent):
    run = await ledger.create_run(agent)
    step_id = new_id("step")
    for _ in range(2):
        await ledger.record_step(run.run_id, step_id=step_id, expected_version=1)
    ended = await ledger.complete_run(run.run_id, expected_version=2)
    assert await ledger.complete_run(run.run_id, expected_version=2) == ended
    with pytest.raises(AlreadyEnded):
        await ledger.fail_run(run.run_id, expected_version=2)


async def test_one_of_many_that_expect_the_same_version_is_recorded(own_ledger):
    async with own_ledger(read_models=False) as one, own_ledger(read_models=False) as other:
        run = await one.create_run("agent-a")
        # The other ledger's idea of the run is an old one: it must look before it refuses.
        await other.get_run_by_id(run.run_id)
        await one.patch_metadata(run.run_id, {"by": "one"})
        done = await asyncio.gather(
            *(
                ledger.patch_metadata(run.run_id, {"by": number}, expected_version=2)
                for number, ledger in enumerate([one, other] * 5)
            ),
            return_exceptions=True,
        )
        won = [result for result in done if not isinstance(result, BaseException)]
        assert [run.version for run in won] == [3]
        assert all(isinstance(result, VersionConflict) for result in done if result not in won)
        assert (await other.get_run_by_id(run.run_id)).metadata == won[0].metadata
