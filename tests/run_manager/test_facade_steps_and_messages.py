"""The facade's steps and messages, as much as a run manager needs of them."""

import pytest

from runledger.compat import (
    ImageContent,
    LettaInvalidArgumentError,
    LettaRequestConfig,
    Message,
    MessageRole,
    MessageType,
    NoResultFound,
    Run,
    RunStatus,
    RunUpdate,
    StepStatus,
    StopReasonType,
    TextContent,
    ToolReturn,
    UsageStatistics,
)
from runledger.ids import new_id


async def log(steps, user, agent, run_id, **facts):
    usage = facts.pop("usage", UsageStatistics(completion_tokens=100, prompt_tokens=50,
                                               total_tokens=150))  # fmt: skip
    return await steps.log_step_async(
        agent_id=agent,
        provider_name="openai",
        provider_category="base",
        model="gpt-4o-mini",
        model_endpoint="https://api.openai.com/v1",
        context_window_limit=8192,
        usage=usage,
        run_id=run_id,
        actor=user,
        project_id=None,
        **facts,
    )


async def test_steps_are_counted_and_listed(manager, steps, user, agent):
    run = await manager.create_run(Run(agent_id=agent), user)
    ids = [(await log(steps, user, agent, run.id)).id for _ in range(3)]
    usage = await manager.get_run_usage(run.id, user)
    assert (usage.step_count, usage.total_tokens) == (3, 450)
    assert (usage.prompt_tokens, usage.completion_tokens, usage.run_ids) == (150, 300, None)
    found = await manager.get_run_steps(run.id, user)
    assert [step.id for step in found] == ids[::-1]
    assert found[0].model == "gpt-4o-mini"
    assert found[0].status is StepStatus.SUCCESS
    assert found[0].run_id == run.id
    assert [s.id for s in await steps.list_steps_async(user, run_id=run.id, order="asc")] == ids
    page = await manager.get_run_steps(run.id, user, limit=1, after=ids[0], ascending=True)
    assert [step.id for step in page] == [ids[1]]
    assert await manager.get_run_steps(run.id, user, limit=0) == []
    assert (await manager.get_run_metrics_async(run.id, user)).num_steps == 3


async def test_sixty_steps_are_counted(manager, steps, user, agent):
    run = await manager.create_run(Run(agent_id=agent), user)
    for _ in range(60):
        await log(steps, user, agent, run.id)
    await manager.update_run_by_id_async(run.id, RunUpdate(status=RunStatus.completed), user)
    assert (await manager.get_run_metrics_async(run.id, user)).num_steps == 60
    assert (await manager.get_run_usage(run.id, user)).total_tokens == 60 * 150


async def test_token_details_are_kept_and_zero_is_not_none(manager, steps, user, agent):
    run = await manager.create_run(Run(agent_id=agent), user)
    none = await manager.get_run_usage(run.id, user)
    assert (none.cached_input_tokens, none.cache_write_tokens, none.reasoning_tokens) == (None,) * 3
    usage = UsageStatistics(
        prompt_tokens=10,
        prompt_tokens_details={"cached_tokens": 0, "cache_creation_tokens": 4},
        completion_tokens=5,
        completion_tokens_details={"reasoning_tokens": 2},
    )
    step = await log(steps, user, agent, run.id, usage=usage)
    assert step.prompt_tokens_details == {"cached_tokens": 0, "cache_creation_tokens": 4}
    assert (step.cached_input_tokens, step.cache_write_tokens) == (0, 4)
    found = await manager.get_run_usage(run.id, user)
    assert (found.cached_input_tokens, found.cache_write_tokens, found.reasoning_tokens) == (
        0, 4, 2)  # fmt: skip


async def test_a_pending_step_is_finished_under_its_id(manager, steps, user, agent):
    run = await manager.create_run(Run(agent_id=agent), user)
    step_id = new_id("step")
    pending = await log(steps, user, agent, run.id, step_id=step_id, status=StepStatus.PENDING)
    assert (pending.id, pending.status) == (step_id, StepStatus.PENDING)
    assert (await manager.get_run_usage(run.id, user)).step_count == 0
    failed = await log(
        steps, user, agent, run.id, step_id=step_id,
        error_type="LLMError", error_data={"message": "no"}, stop_reason=StopReasonType.error,
    )  # fmt: skip
    assert (failed.status, failed.error_type) == (StepStatus.FAILED, "LLMError")
    assert failed.stop_reason is StopReasonType.error
    assert len(await manager.get_run_steps(run.id, user)) == 1


async def test_steps_and_messages_need_a_run(steps, messages, user, agent):
    with pytest.raises(LettaInvalidArgumentError, match="run_id"):
        await log(steps, user, agent, None)
    with pytest.raises(LettaInvalidArgumentError, match="run_id"):
        await messages.create_message_async(Message(role="user", content="hi"), user)
    with pytest.raises(NoResultFound):
        await log(steps, user, agent, new_id("run"))


async def test_messages_are_shown_and_paged_by_time(manager, messages, user, agent):
    run = await manager.create_run(Run(agent_id=agent), user)
    given = [
        Message(role=MessageRole.user, content=[TextContent(text=str(n))], agent_id=agent,
                run_id=run.id)
        for n in range(6)
    ]  # fmt: skip
    stored = await messages.create_many_messages_async(given, actor=user)
    ids = [message.id for message in stored]

    async def page(**asked):
        return [int(m.content) for m in await manager.get_run_messages(run.id, user, **asked)]

    assert await page() == [0, 1, 2, 3, 4, 5]
    assert await page(order="asc", before=ids[3], limit=2) == [1, 2]
    assert await page(order="asc", after=ids[3], limit=2) == [4, 5]
    assert await page(order="desc", before=ids[3], limit=2) == [2, 1]
    assert await page(order="desc", after=ids[3], limit=2) == [5, 4]
    assert await page(limit=0) == []
    assert await page(limit=5000) == [0, 1, 2, 3, 4, 5]
    with pytest.raises(NoResultFound):
        await page(before=new_id("message"))


async def test_the_stored_request_config_is_honoured(manager, messages, user, agent):
    config = LettaRequestConfig(include_return_message_types=[MessageType.tool_call_message])
    run = await manager.create_run(Run(agent_id=agent, request_config=config), user)
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    await messages.create_many_messages_async(
        [
            Message(role="user", content="hi", run_id=run.id),
            Message(role="assistant", content="ho", tool_calls=[call], run_id=run.id),
        ],
        user,
    )
    (shown,) = await manager.get_run_messages(run.id, user, limit=1)
    assert shown.message_type == "tool_call_message"
    assert shown.tool_call.name == "f"
    assert await manager.get_run_request_config(run.id, user) == config


async def test_stored_messages_are_listed_by_time_and_role(manager, messages, user, agent):
    run = await manager.create_run(Run(agent_id=agent), user)
    given = [
        Message(role=MessageRole.assistant if n % 2 else MessageRole.user,
                content=[TextContent(text=str(n))], agent_id=agent, run_id=run.id)
        for n in range(6)
    ]  # fmt: skip
    await messages.create_many_messages_async(given, actor=user)
    ids = [message.id for message in given]

    async def page(**asked):
        found = await messages.list_messages(actor=user, run_id=run.id, **asked)
        return [int(message.content[0].text) for message in found]

    listed = await messages.list_messages(actor=user, run_id=run.id, agent_id=agent)
    assert listed == given
    assert await page(limit=2) == [0, 1]
    assert await page(limit=2, ascending=False) == [5, 4]
    assert await page(before=ids[4], after=ids[0]) == [1, 2, 3]
    assert await page(before=ids[4], after=ids[0], ascending=False) == [3, 2, 1]
    assert await page(before=ids[4], after=ids[0], ascending=False, limit=2) == [3, 2]
    assert await page(before=ids[3]) == [0, 1, 2]
    assert await page(before=ids[3], ascending=False) == [2, 1, 0]
    assert await page(before=ids[3], limit=2) == [1, 2]
    assert await page(after=ids[2], limit=2, ascending=False) == [4, 3]
    assert await page(roles=[MessageRole.user]) == [0, 2, 4]
    assert await page(roles=[MessageRole.user], after=ids[0], limit=1) == [2]
    assert await page(limit=0) == await page(before=ids[0]) == await page(after=ids[5]) == []
    with pytest.raises(NoResultFound):
        await page(after=new_id("message"))
    with pytest.raises(LettaInvalidArgumentError, match="limit"):
        await page(limit=-1)
    with pytest.raises(LettaInvalidArgumentError, match="run_id"):
        await messages.list_messages(user, agent_id=agent)


async def test_a_stored_message_comes_back_whole(manager, messages, user, agent):
    run = await manager.create_run(Run(agent_id=agent, conversation_id=new_id("conv")), user)
    image = {"type": "image", "source": {"type": "base64", "data": "iVBORw0KGgo="}}
    given = Message(
        role="tool",
        run_id=run.id,
        tool_call_id="c",
        otid="theirs",
        tool_returns=[ToolReturn(tool_call_id="c", status="error", func_response=[image])],
    )
    await messages.create_message_async(given, user)
    (stored,) = await messages.list_messages(user, run_id=run.id)
    assert (stored.agent_id, stored.conversation_id) == (agent, run.conversation_id)
    (returned,) = stored.tool_returns
    assert returned.status == "error"
    (part,) = returned.func_response
    assert isinstance(part, ImageContent)
    assert (part.source.type, part.source.size) == ("blob", 8)
    assert stored.model_copy(update={"tool_returns": given.tool_returns}) == given.model_copy(
        update={"agent_id": agent, "conversation_id": run.conversation_id}
    )


def test_stored_messages_are_shown_as_the_api_shows_them():
    call = {"id": "c", "type": "function",
            "function": {"name": "speak", "arguments": '{"words": "hello"}'}}  # fmt: skip
    given = [
        Message(role="assistant", content="I should greet.", tool_calls=[call], run_id="run-1"),
        Message(role="tool", tool_call_id="c", tool_returns=[{"tool_call_id": "c"}]),
    ]
    show = Message.to_letta_messages_from_list
    reasoning, called, returned = show(given, reverse=False)
    assert reasoning.reasoning == "I should greet."
    assert (called.tool_call.name, called.run_id) == ("speak", "run-1")
    assert returned.message_type == "tool_return_message"
    assert show(given)[:2] == [called, reasoning]
    (spoken, thought) = show(
        given, assistant_message_tool_name="speak", assistant_message_tool_kwarg="words"
    )
    assert (spoken.content, thought.message_type) == ("hello", "reasoning_message")
    kinds = [one.message_type for one in show(given[:1], reverse=False,
                                              text_is_assistant_message=True)]  # fmt: skip
    assert kinds == ["assistant_message", "tool_call_message"]


class OpenAIToolCall:
    """A tool call as another library's model gives it."""

    def model_dump(self) -> dict:
        return {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}


async def test_models_of_other_libraries_are_taken(manager, messages, user, agent):
    run = await manager.create_run(Run(agent_id=agent), user)
    message = Message(role="assistant", run_id=run.id, tool_calls=[OpenAIToolCall()])
    await messages.create_message_async(message, user)
    assert (await manager.get_run_metrics_async(run.id, user)).tools_used == ["f"]
    assert Message(role="assistant", run_id=run.id, tool_calls=[]).tool_calls is None


async def test_a_grant_in_the_old_form_is_one(manager, messages, user, agent):
    run = await manager.create_run(Run(agent_id=agent), user)
    call = {"id": "c", "type": "function", "function": {"name": "pay", "arguments": "{}"}}
    request = Message(role=MessageRole.approval, run_id=run.id, tool_calls=[call])
    answer = Message(
        role=MessageRole.approval, run_id=run.id, approve=True, approval_request_id=request.id
    )
    await messages.create_many_messages_async([request, answer], user)
    await manager.cancel_run(user, run_id=run.id)
    shown = await manager.get_run_messages(run.id, user)
    assert [one.message_type for one in shown] == [
        *("approval_request_message", "approval_response_message", "tool_return_message")
    ]
    assert shown[1].approve is True


async def test_a_cancel_denies_what_waits_for_approval(manager, messages, user, agent):
    run = await manager.create_run(Run(agent_id=agent), user)
    call = {"id": "c", "type": "function", "function": {"name": "pay", "arguments": "{}"}}
    await messages.create_message_async(
        Message(role=MessageRole.approval, run_id=run.id, tool_calls=[call]), user
    )
    await manager.update_run_by_id_async(
        run.id, RunUpdate(stop_reason=StopReasonType.requires_approval), user
    )
    await manager.cancel_run(user, run_id=run.id)
    request, response, returned = await manager.get_run_messages(run.id, user)
    assert request.message_type == "approval_request_message"
    assert (response.message_type, response.approve) == ("approval_response_message", False)
    assert (returned.message_type, returned.status) == ("tool_return_message", "error")
    assert "tool call was denied" in returned.tool_return
