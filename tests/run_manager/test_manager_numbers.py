"""Usage, metrics and steps: counted from every step, however many there are."""

import pytest

from runledger.errors import InvalidArgument, NotFound
from runledger.ids import new_id


async def test_sixty_steps_count_sixty_and_their_tokens_sum(ledger, agent):
    run = await ledger.create_run(agent)
    for number in range(60):
        await ledger.record_step(run.run_id, prompt_tokens=number, completion_tokens=1)
    await ledger.complete_run(run.run_id)
    usage = await ledger.get_run_usage(run.run_id)
    assert (usage.step_count, usage.prompt_tokens, usage.completion_tokens) == (60, 1770, 60)
    assert usage.total_tokens == 1830
    assert (await ledger.get_run_metrics(run.run_id)).num_steps == 60
    assert len(await ledger.get_run_steps(run.run_id)) == 60
    (listed,) = await ledger.list_runs(step_count=60)
    assert (listed.num_steps, listed.total_tokens) == (60, 1830)


async def test_a_tool_call_in_message_51_is_seen(ledger, agent):
    run = await ledger.create_run(agent)
    await ledger.record_messages(
        run.run_id, [{"role": "user", "content": str(n)} for n in range(50)]
    )
    call = {"id": "c", "function": {"name": "late_tool", "arguments": "{}"}, "tool_id": "tool-9"}
    await ledger.record_messages(run.run_id, [{"role": "assistant", "tool_calls": [call]}])
    metrics = await ledger.get_run_metrics(run.run_id)
    assert (metrics.tools_used, metrics.tool_ids) == (["late_tool"], ["tool-9"])
    for asked in ("late_tool", "tool-9"):
        assert len(await ledger.list_runs(tools_used=[asked, "another"])) == 1
    assert await ledger.list_runs(tools_used=["another"]) == []


async def test_metrics_are_current_without_an_update_of_the_run(ledger, agent):
    run = await ledger.create_run(agent)
    before = await ledger.get_run_metrics(run.run_id)
    assert (before.num_steps, before.run_ns, before.tools_used) == (0, None, [])
    assert before.run_start_ns > 1_700_000_000_000_000_000
    await ledger.record_step(run.run_id)
    assert (await ledger.get_run_metrics(run.run_id)).num_steps == 1


async def test_not_reported_is_none_and_reported_zero_is_zero(ledger, agent):
    cases = [
        ([None, None], None),
        ([{}, None], None),
        ([{"cached_tokens": 0}, None], 0),
        ([{"cached_tokens": 0}, {"cached_tokens": 4}], 4),
        ([{"cached_tokens": 0, "cache_read_tokens": 3}, {"cached_tokens": 4}], 7),
    ]
    for details, expected in cases:
        run = await ledger.create_run(agent)
        for one in details:
            await ledger.record_step(run.run_id, prompt_tokens=9, prompt_tokens_details=one)
        assert (await ledger.get_run_usage(run.run_id)).cached_input_tokens == expected, details
    listed = await ledger.list_runs(ascending=True)
    assert [run.cache_read_tokens for run in listed] == [expected for _, expected in cases]


async def test_details_of_a_step_are_kept(ledger, agent):
    run = await ledger.create_run(agent)
    await ledger.record_step(
        run.run_id,
        provider="anthropic",
        prompt_tokens=5,
        completion_tokens=6,
        prompt_tokens_details={"cache_read_tokens": 100, "cache_creation_tokens": 7},
        completion_tokens_details={"reasoning_tokens": 4},
    )
    (step,) = await ledger.get_run_steps(run.run_id)
    assert step.prompt_tokens_details == {"cache_read_tokens": 100, "cache_creation_tokens": 7}
    assert step.completion_tokens_details == {"reasoning_tokens": 4}
    usage = await ledger.get_run_usage(run.run_id)
    assert (usage.cached_input_tokens, usage.cache_write_tokens) == (100, 7)
    assert (usage.fresh_input_tokens, usage.reasoning_tokens, usage.output_tokens) == (5, 4, 2)


async def test_a_step_recorded_again_counts_once(ledger, agent):
    run = await ledger.create_run(agent)
    step_id = new_id("step")
    for _ in range(2):
        await ledger.record_step(run.run_id, step_id=step_id, prompt_tokens=5)
    assert (await ledger.get_run_usage(run.run_id)).prompt_tokens == 5
    assert (await ledger.list_runs())[0].num_steps == 1


async def test_steps_are_paged_in_the_requested_order(ledger, agent):
    run = await ledger.create_run(agent)
    ids = [await ledger.record_step(run.run_id) for _ in range(7)]

    async def page(**asked):
        return [ids.index(s.step_id) for s in await ledger.get_run_steps(run.run_id, **asked)]

    assert await page() == [0, 1, 2, 3, 4, 5, 6]
    assert await page(order="asc", after=ids[3], limit=2) == [4, 5]
    assert await page(order="asc", before=ids[3], limit=2) == [1, 2]
    assert await page(order="desc", after=ids[3], limit=2) == [2, 1]
    assert await page(order="desc", before=ids[3], limit=2) == [5, 4]
    with pytest.raises(NotFound, match="it is the cursor of a page"):
        await page(after=new_id("step"))
    with pytest.raises(InvalidArgument, match="found both"):
        await page(after=ids[0], before=ids[1])
    with pytest.raises(InvalidArgument, match="1 or more"):
        await page(limit=0)


async def test_what_is_not_there_has_no_numbers(ledger):
    for question in (ledger.get_run_usage, ledger.get_run_metrics, ledger.get_run_steps):
        with pytest.raises(NotFound):
            await question(new_id("run"))


async def test_the_request_config_comes_back_as_it_was(ledger, agent):
    config = {"use_assistant_message": False, "of a newer server": [1]}
    run = await ledger.create_run(agent, request_config=config)
    assert await ledger.get_run_request_config(run.run_id) == config
    assert (await ledger.list_runs())[0].request_config == config
    without = await ledger.create_run(agent)
    assert await ledger.get_run_request_config(without.run_id) is None
