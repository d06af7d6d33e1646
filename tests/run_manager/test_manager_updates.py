"""Updates: what the replaced manager let happen to a run, and what happens here instead."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from runledger import RunLedger
from runledger.errors import AlreadyEnded, IllegalTransition, InvalidArgument, NotFound


async def topics(ledger: RunLedger, run_id: str) -> list[str]:
    stored = await asyncio.to_thread(ledger.store.read_stream, run_id)
    return [row.event.topic for row in stored]


ENDS = {"run.completed", "run.failed", "run.cancelled"}


async def test_a_terminal_status_is_terminal(ledger, agent):
    run = await ledger.create_run(agent)
    await ledger.update_run(run.run_id, status="completed", stop_reason="end_turn")
    for later in ("failed", "running", "cancelled", "created"):
        with pytest.raises(IllegalTransition, match="found completed"):
            await ledger.update_run(run.run_id, status=later)
    assert (await ledger.get_run_by_id(run.run_id)).status == "completed"


async def test_a_run_is_never_running_with_an_end(ledger, agent):
    run = await ledger.create_run(agent)
    with pytest.raises(InvalidArgument, match="means 'failed', found 'running'"):
        await ledger.update_run(run.run_id, status="running", stop_reason="error")
    with pytest.raises(InvalidArgument, match="belong to an end, found status 'running'"):
        await ledger.update_run(
            run.run_id, status="running", completed_at=datetime(2026, 1, 1, tzinfo=UTC)
        )
    with pytest.raises(InvalidArgument, match="belong to an end, found no status"):
        await ledger.update_run(run.run_id, total_duration_ns=5)
    assert (await ledger.get_run_by_id(run.run_id)).status == "created"


async def test_a_late_end_does_not_move_the_duration(ledger, agent):
    run = await ledger.create_run(agent, at=datetime(2026, 1, 1, tzinfo=UTC))
    ended = await ledger.complete_run(run.run_id, at=datetime(2026, 1, 1, 0, 0, 3, tzinfo=UTC))
    again = await ledger.complete_run(run.run_id, at=datetime(2026, 1, 1, 0, 9, tzinfo=UTC))
    assert again.run_ns == ended.run_ns == 3_000_000_000
    assert again.completed_at == ended.completed_at
    (listed,) = await ledger.list_runs()
    assert listed.run_ns == ended.run_ns


async def test_eight_concurrent_metadata_updates_keep_eight_keys(ledger, agent):
    run = await ledger.create_run(agent, metadata={"own": 0})
    await asyncio.gather(*(ledger.update_run(run.run_id, metadata={f"k{n}": n}) for n in range(8)))
    expected = {"own": 0, **{f"k{n}": n for n in range(8)}}
    assert (await ledger.get_run_by_id(run.run_id)).metadata == expected
    assert (await ledger.list_runs())[0].metadata == expected


async def test_metadata_updates_of_two_processes_all_survive(own_ledger, agent):
    async with own_ledger() as here, own_ledger(read_models=False) as there:
        run = await here.create_run(agent)
        # Two ledgers have two caches and two appenders, as two processes have.
        await asyncio.gather(
            *(
                ledger.update_run(run.run_id, metadata={f"{name}{n}": n})
                for n in range(10)
                for name, ledger in (("a", here), ("b", there))
            )
        )
        found = (await here.get_run_by_id(run.run_id)).metadata
        assert found == {f"{name}{n}": n for n in range(10) for name in "ab"}


@pytest.mark.parametrize("reasons", [["end_turn"] * 3, ["end_turn", "error", "cancelled"]])
async def test_three_concurrent_ends_give_one_end(ledger, agent, reasons):
    run = await ledger.create_run(agent, callback_url="https://example.com/hook")
    results = await asyncio.gather(
        *(ledger.update_run(run.run_id, stop_reason=reason) for reason in reasons),
        return_exceptions=True,
    )
    recorded = [topic for topic in await topics(ledger, run.run_id) if topic in ENDS]
    assert len(recorded) == 1
    final = await ledger.get_run_by_id(run.run_id)
    for reason, result in zip(reasons, results, strict=True):
        if reason == final.stop_reason:
            assert result == final
        else:
            assert isinstance(result, AlreadyEnded)
            assert result.stop_reason == final.stop_reason


async def test_a_late_worker_of_a_cancelled_run_is_told_so(ledger, agent):
    run = await ledger.create_run(agent, status="running")
    await ledger.cancel_run(run.run_id)
    with pytest.raises(AlreadyEnded) as caught:
        await ledger.complete_run(run.run_id)
    assert (caught.value.status, caught.value.stop_reason) == ("cancelled", "cancelled")
    with pytest.raises(AlreadyEnded):
        await ledger.update_run(run.run_id, status="failed", metadata={"late": True})
    found = await ledger.get_run_by_id(run.run_id)
    assert (found.status, found.metadata) == ("cancelled", {})


async def test_a_late_step_counts_its_tokens_and_changes_no_outcome(ledger, agent):
    run = await ledger.create_run(agent, status="running")
    await ledger.cancel_run(run.run_id)
    await ledger.record_step(run.run_id, prompt_tokens=7, completion_tokens=3)
    found = await ledger.get_run_by_id(run.run_id)
    assert (found.status, found.num_steps, found.total_tokens) == ("cancelled", 1, 10)
    assert (await ledger.get_run_steps(run.run_id))[0].late
    assert (await ledger.list_runs())[0] == found


async def test_the_duration_is_the_same_on_getter_and_list(ledger, agent):
    for number in range(3):
        run = await ledger.create_run(agent)
        await ledger.complete_run(run.run_id, run_ns=(number + 1) * 1000)
    listed = await ledger.list_runs()
    assert [run.run_ns for run in listed] == [3000, 2000, 1000]
    for run in listed:
        assert await ledger.get_run_by_id(run.run_id) == run


async def test_an_end_before_the_beginning_has_no_duration(ledger, agent):
    run = await ledger.create_run(agent, at=datetime(2026, 1, 2, tzinfo=UTC))
    ended = await ledger.complete_run(run.run_id, at=datetime(2026, 1, 1, tzinfo=UTC))
    assert ended.run_ns is None


async def test_a_callback_that_cannot_be_sent_fails_no_update(ledger, agent):
    # No metadata, no stop reason, no such host: each of them broke the replaced manager's update.
    run = await ledger.create_run(agent, callback_url="https://no-such-host.invalid/hook")
    ended = await ledger.update_run(run.run_id, status="completed")
    assert (ended.status, ended.stop_reason) == ("completed", "end_turn")
    assert (await topics(ledger, run.run_id)).count("run.completed") == 1


async def test_a_failure_has_a_stop_reason_and_its_error(ledger, agent):
    run = await ledger.create_run(agent)
    await ledger.fail_run(
        run.run_id, error_type="llm_timeout", error_message="30 s", error_data={"model": "m"}
    )
    for found in (await ledger.get_run_by_id(run.run_id), (await ledger.list_runs())[0]):
        assert (found.status, found.stop_reason) == ("failed", "error")
        assert (found.error_type, found.error_message) == ("llm_timeout", "30 s")
        assert found.error_data == {"model": "m"}
    assert (await ledger.list_agents(agent_id=agent))[0].last_stop_reason == "error"


async def test_the_first_step_means_running(ledger, agent):
    run = await ledger.create_run(agent)
    assert run.started_at is None
    step_id = await ledger.start_step(run.run_id, provider="openai", model="m")
    found = await ledger.get_run_by_id(run.run_id)
    assert found.status == "running"
    assert found.started_at is not None
    (step,) = await ledger.get_run_steps(run.run_id)
    assert (step.step_id, step.status) == (step_id, "pending")


async def test_times_know_their_zone(ledger, agent):
    run = await ledger.create_run(agent, status="running")
    run = await ledger.complete_run(run.run_id)
    for found in (run, (await ledger.list_runs())[0]):
        for moment in (found.created_at, found.started_at, found.completed_at):
            assert moment.utcoffset() == timedelta(0)
    with pytest.raises(InvalidArgument, match="time zone"):
        await ledger.create_run(agent, at=datetime(2026, 1, 1))  # noqa: DTZ001


async def test_a_metadata_key_can_be_taken_away(ledger, agent):
    run = await ledger.create_run(agent, metadata={"keep": 1, "drop": 2, "change": {"a": 1}})
    await ledger.update_run(run.run_id, metadata={"change": None}, remove_metadata=["drop", "no"])
    expected = {"keep": 1, "change": None}
    assert (await ledger.get_run_by_id(run.run_id)).metadata == expected
    assert (await ledger.list_runs())[0].metadata == expected
    with pytest.raises(InvalidArgument, match="both set and removed"):
        await ledger.update_run(run.run_id, metadata={"keep": 2}, remove_metadata=["keep"])


async def test_metadata_can_change_after_the_end(ledger, agent):
    run = await ledger.create_run(agent)
    await ledger.complete_run(run.run_id)
    await ledger.update_run(run.run_id, metadata={"reviewed": True})
    assert (await ledger.list_runs())[0].metadata == {"reviewed": True}


async def test_an_update_of_nothing_is_the_run(ledger, agent):
    run = await ledger.create_run(agent)
    assert await ledger.update_run(run.run_id) == run
    assert await topics(ledger, run.run_id) == ["run.created"]
    assert await ledger.update_run(run.run_id, status="created") == run


async def test_a_stop_reason_alone_decides_the_status(ledger, agent):
    for reason, status in (("max_steps", "completed"), ("no_tool_call", "failed")):
        run = await ledger.create_run(agent)
        assert (await ledger.update_run(run.run_id, stop_reason=reason)).status == status


async def test_status_and_stop_reason_agree(ledger, agent):
    run = await ledger.create_run(agent)
    with pytest.raises(InvalidArgument, match="'max_tokens_exceeded' means 'failed'"):
        await ledger.update_run(run.run_id, status="completed", stop_reason="max_tokens_exceeded")
    with pytest.raises(InvalidArgument, match="no such stop reason 'because'"):
        await ledger.update_run(run.run_id, stop_reason="because")
    with pytest.raises(InvalidArgument, match="expected one of created, running"):
        await ledger.update_run(run.run_id, status="done")


async def test_an_update_of_a_run_that_is_not_there_is_refused(ledger):
    with pytest.raises(NotFound):
        await ledger.update_run("run-00000000-0000-4000-8000-000000000000", metadata={"a": 1})


@pytest.mark.parametrize(
    ("end", "again", "other"),
    [
        ("tool_rule", {"status": "completed"}, {"status": "failed"}),
        ("requires_approval", {"status": "completed"}, {"status": "running"}),
        ("llm_api_error", {"status": "failed"}, {"status": "completed"}),
        ("cancelled", {"status": "cancelled"}, {"status": "failed"}),
    ],
)
async def test_a_status_alone_contradicts_no_reason(ledger, agent, end, again, other):
    run = await ledger.create_run(agent)
    ended = await ledger.update_run(run.run_id, stop_reason=end)
    assert await ledger.update_run(run.run_id, **again) == ended
    patched = await ledger.update_run(run.run_id, **again, metadata={"seen": True})
    assert (patched.stop_reason, patched.metadata) == (end, {"seen": True})
    with pytest.raises(AlreadyEnded):
        await ledger.update_run(run.run_id, **other)
    assert await ledger.get_run_by_id(run.run_id) == patched


async def test_a_failure_that_says_less_is_the_same_failure(ledger, agent):
    run = await ledger.create_run(agent)
    failed = await ledger.fail_run(run.run_id, error_type="Timeout", error_message="30 s")
    assert await ledger.fail_run(run.run_id) == failed
    assert await ledger.fail_run(run.run_id, error_type="Timeout") == failed
    with pytest.raises(AlreadyEnded):
        await ledger.fail_run(run.run_id, error_type="Timeout", error_message="60 s")
