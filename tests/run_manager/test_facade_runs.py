"""The facade, used as the replaced manager was: create, read, update, cancel, delete."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from runledger.compat import (
    AgentManager,
    ConversationBusyError,
    LettaAgentNotFoundError,
    LettaError,
    LettaInvalidArgumentError,
    LettaRequestConfig,
    NoResultFound,
    Run,
    RunManager,
    RunStatus,
    RunUpdate,
    StopReasonType,
    UniqueConstraintViolationError,
    User,
)
from runledger.compat.errors import translated
from runledger.errors import AlreadyEnded, ConversationBusy, InvalidArgument, LedgerError, NotFound
from runledger.ids import new_id


async def test_a_created_run_comes_back_as_it_was_given(manager, user, agent):
    given = Run(
        metadata={"type": "test"},
        agent_id=agent,
        background=True,
        base_template_id="template-1",
        conversation_id=new_id("conv"),
        callback_url="https://example.com/hook",
        request_config=LettaRequestConfig(use_assistant_message=False),
    )
    created = await manager.create_run(pydantic_run=given, actor=user)
    for found in (created, await manager.get_run_by_id(created.id, actor=user)):
        assert found.id == given.id
        assert found.status is RunStatus.created
        assert found.created_at - given.created_at < timedelta(minutes=10)
        for name in (
            "agent_id",
            "metadata",
            "background",
            "base_template_id",
            "conversation_id",
            "callback_url",
            "request_config",
            "completed_at",
            "total_duration_ns",
        ):
            assert getattr(found, name) == getattr(given, name), name
    assert await manager.get_run_request_config(created.id, actor=user) == given.request_config


async def test_defaults_of_a_run_that_was_read(manager, user, agent):
    created = await manager.create_run(Run(agent_id=agent), user)
    assert (created.background, created.metadata, created.stop_reason) == (False, {}, None)
    assert await manager.get_run_request_config(created.id, user) is None
    assert created.model_dump_json().count("+00:00") + created.model_dump_json().count("Z") == 1


@pytest.mark.parametrize("status", list(RunStatus))
async def test_any_status_may_be_given_at_creation(manager, user, agent, status):
    created = await manager.create_run(Run(agent_id=agent, status=status), user)
    assert created.status is status
    assert (created.completed_at, created.total_duration_ns) == (None, None)
    metrics = await manager.get_run_metrics_async(created.id, user)
    assert (metrics.run_ns, metrics.num_steps) == (None, 0)


async def test_any_stop_reason_may_be_given_at_creation(manager, user, agent):
    created = [
        await manager.create_run(Run(agent_id=agent, stop_reason=stop_reason), user)
        for stop_reason in StopReasonType
    ]
    assert [run.stop_reason for run in created] == list(StopReasonType)
    assert [run.status for run in created] == [reason.run_status for reason in StopReasonType]
    assert await manager.list_runs(user, ascending=True) == created
    for run in created:
        assert await manager.list_runs(user, stop_reason=run.stop_reason) == [run]


async def test_a_creation_time_that_was_given_is_kept(manager, user, agent):
    start, end = datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 1, 1, 0, 0, 2)  # noqa: DTZ001
    created = await manager.create_run(Run(agent_id=agent, created_at=start), user)
    assert created.created_at == start
    over = await manager.create_run(
        Run(agent_id=agent, created_at=start, completed_at=end, status=RunStatus.failed), user
    )
    assert over.completed_at == end.replace(tzinfo=UTC)
    assert over.total_duration_ns == 2_000_000_000


@pytest.mark.parametrize("run_id", ["job-8d3c0f8e-5a3b-4f0e-9b6e-2f4b8f6f1a11", "run-12345678-xyz"])
async def test_an_id_that_could_not_be_read_is_not_created(manager, user, agent, run_id):
    message = f"INVALID_ARGUMENT: Invalid run ID format: {run_id}. Expected format: 'run-<uuid4>'"
    for call in (
        lambda: manager.create_run(Run(id=run_id, agent_id=agent), user),
        lambda: manager.get_run_by_id(run_id, user),
        lambda: manager.update_run_by_id_async(run_id, RunUpdate(), user),
        lambda: manager.cancel_run(user, run_id=run_id),
    ):
        with pytest.raises(LettaInvalidArgumentError) as caught:
            await call()
        assert str(caught.value) == message
        assert caught.value.code == "INVALID_ARGUMENT"
        assert caught.value.details == {"argument_name": "run_id"}


async def test_an_id_is_used_once(manager, user, agent):
    run = await manager.create_run(Run(agent_id=agent), user)
    with pytest.raises(UniqueConstraintViolationError):
        await manager.create_run(Run(id=run.id, agent_id=agent), user)
    await manager.delete_run(run.id, user)
    with pytest.raises(UniqueConstraintViolationError):
        await manager.create_run(Run(id=run.id, agent_id=agent), user)


async def test_an_unknown_agent_is_an_error_where_the_ledger_says_so(own_ledger, agent):
    user = User()
    async with own_ledger(unknown_agents="reject", read_models=False) as ledger:
        with pytest.raises(LettaAgentNotFoundError, match=f"Agent {agent} not found"):
            await RunManager(ledger).create_run(Run(agent_id=agent), user)


async def test_what_is_not_there_is_no_result(manager, user):
    run_id = new_id("run")
    for call in (
        manager.get_run_by_id(run_id, user),
        manager.get_run_with_status(run_id, user),
        manager.update_run_by_id_async(run_id, RunUpdate(status=RunStatus.completed), user),
        manager.delete_run(run_id, user),
        manager.get_run_usage(run_id, user),
        manager.get_run_messages(run_id, user),
        manager.get_run_metrics_async(run_id, user),
        manager.get_run_request_config(run_id, user),
        manager.get_run_steps(run_id, user),
        manager.cancel_run(user, run_id=run_id),
    ):
        with pytest.raises(NoResultFound) as caught:
            await call
        assert str(caught.value) == f"Run with id {run_id} not found"


async def test_an_update_ends_the_run_and_merges_its_metadata(manager, user, agent):
    run = await manager.create_run(Run(agent_id=agent, metadata={"a": 1, "b": 1}), user)
    updated = await manager.update_run_by_id_async(
        run_id=run.id,
        update=RunUpdate(
            status=RunStatus.failed,
            stop_reason=StopReasonType.llm_api_error,
            metadata={"b": 2, "error": {"type": "llm_timeout"}},
        ),
        actor=user,
        refresh_result_messages=False,
        conversation_id=None,
    )
    assert updated.status is RunStatus.failed
    assert updated.stop_reason is StopReasonType.llm_api_error
    assert updated.metadata == {"a": 1, "b": 2, "error": {"type": "llm_timeout"}}
    assert updated.completed_at.utcoffset() == timedelta(0)
    assert await manager.get_run_by_id(run.id, user) == updated
    assert await manager.list_runs(user) == [updated]


async def test_a_status_alone_ends_the_run(manager, user, agent):
    for status in (RunStatus.completed, RunStatus.failed, RunStatus.cancelled):
        run = await manager.create_run(Run(agent_id=agent), user)
        updated = await manager.update_run_by_id_async(run.id, RunUpdate(status=status), user)
        assert updated.status is status
        assert updated.completed_at is not None
        assert updated.stop_reason.run_status is status


async def test_duration_and_end_may_be_told(manager, user, agent):
    run = await manager.create_run(Run(agent_id=agent), user)
    end = datetime(2099, 1, 1)  # noqa: DTZ001
    update = RunUpdate(status=RunStatus.completed, completed_at=end, total_duration_ns=77)
    updated = await manager.update_run_by_id_async(run.id, update, user)
    assert updated.completed_at == end.replace(tzinfo=UTC)
    metrics = await manager.get_run_metrics_async(run.id, user)
    assert metrics.run_ns == updated.total_duration_ns == 77


async def test_times_are_measured(manager, user, agent):
    before = time.time_ns()
    run = await manager.create_run(Run(agent_id=agent), user)
    metrics = await manager.get_run_metrics_async(run.id, user)
    assert before - 1000 <= metrics.run_start_ns <= time.time_ns()
    assert metrics.id == run.id
    assert (metrics.agent_id, metrics.organization_id) == (agent, user.organization_id)
    await manager.update_run_by_id_async(run.id, RunUpdate(status=RunStatus.completed), user)
    metrics = await manager.get_run_metrics_async(run.id, user)
    assert 0 < metrics.run_ns <= time.time_ns() - before + 1000
    assert (await manager.get_run_by_id(run.id, user)).total_duration_ns == metrics.run_ns


async def test_a_stop_reason_decides_against_a_status_that_contradicts_it(
    manager, user, agent, caplog
):
    run = await manager.create_run(Run(agent_id=agent), user)
    update = RunUpdate(status=RunStatus.completed, stop_reason=StopReasonType.max_tokens_exceeded)
    updated = await manager.update_run_by_id_async(run.id, update, user)
    assert updated.status is RunStatus.failed
    assert "max_tokens_exceeded" in caplog.text


async def test_the_first_end_wins(manager, user, agent):
    run = await manager.create_run(Run(agent_id=agent), user)
    await manager.cancel_run(user, run_id=run.id)
    with pytest.raises(AlreadyEnded):
        await manager.update_run_by_id_async(run.id, RunUpdate(status=RunStatus.completed), user)
    assert (await manager.get_run_by_id(run.id, user)).status is RunStatus.cancelled


async def test_eight_concurrent_metadata_updates_keep_eight_keys(manager, user, agent):
    run = await manager.create_run(Run(agent_id=agent), user)
    await asyncio.gather(
        *(
            manager.update_run_by_id_async(run.id, RunUpdate(metadata={f"k{n}": n}), user)
            for n in range(8)
        )
    )
    assert len((await manager.get_run_by_id(run.id, user)).metadata) == 8


async def test_a_cancel_returns_the_run_and_a_repeat_returns_nothing(manager, user, agent):
    run = await manager.create_run(Run(agent_id=agent), user)
    cancelled = await manager.cancel_run(user, run_id=run.id)
    assert (cancelled.id, cancelled.status) == (run.id, RunStatus.cancelled)
    assert cancelled.stop_reason is StopReasonType.cancelled
    assert await manager.cancel_run(user, run_id=run.id, agent_id="agent-not-read") is None


async def test_a_run_that_waits_for_approval_can_be_cancelled(manager, user, agent):
    run = await manager.create_run(Run(agent_id=agent), user)
    await manager.update_run_by_id_async(
        run.id, RunUpdate(stop_reason=StopReasonType.requires_approval), user
    )
    assert (await manager.cancel_run(user, run_id=run.id)).status is RunStatus.cancelled


async def test_a_cancel_by_agent_works(manager, user, agent):
    runs = [await manager.create_run(Run(agent_id=agent), user) for _ in range(3)]
    cancelled = await manager.cancel_run(user, agent_id=agent)
    assert cancelled.id == runs[-1].id
    statuses = {run.status for run in await manager.list_runs(user, agent_id=agent)}
    assert statuses == {RunStatus.cancelled}
    assert await manager.cancel_run(user, agent_id=agent) is None
    with pytest.raises(ValueError, match="Agent ID is required to cancel a run by ID"):
        await manager.cancel_run(user)


async def test_a_server_may_have_one_active_run_per_conversation(ledger, user, agent):
    manager = RunManager(ledger, hold_conversations=True)
    conversation = new_id("conv")
    run = await manager.create_run(Run(agent_id=agent, conversation_id=conversation), user)
    with pytest.raises(ConversationBusyError, match=run.id):
        await manager.create_run(Run(agent_id=agent, conversation_id=conversation), user)
    await manager.create_run(Run(agent_id=agent), user)
    await manager.update_run_by_id_async(run.id, RunUpdate(status=RunStatus.failed), user)
    await manager.create_run(Run(agent_id=agent, conversation_id=conversation), user)


async def test_a_deleted_run_is_gone(manager, user, agent):
    run = await manager.create_run(Run(agent_id=agent), user)
    await manager.delete_run(run.id, actor=user)
    with pytest.raises(NoResultFound):
        await manager.get_run_by_id(run.id, user)
    assert await manager.list_runs(user) == []


async def test_the_agent_shows_its_last_stop_reason(manager, ledger, user, agent):
    agents = AgentManager(ledger)
    with pytest.raises(LettaAgentNotFoundError):
        await agents.get_agent_by_id_async(agent, user)
    await ledger.register_agent(agent, name="Ada", project_id="p", agent_type="letta_v1_agent")
    state = await agents.get_agent_by_id_async(agent_id=agent, actor=user)
    assert (state.id, state.name, state.project_id, state.last_stop_reason) == (
        agent, "Ada", "p", None)  # fmt: skip
    run = await manager.create_run(Run(agent_id=agent), user)
    await manager.update_run_by_id_async(
        run.id, RunUpdate(status=RunStatus.completed, stop_reason=StopReasonType.max_steps), user
    )
    state = await agents.get_agent_by_id_async(agent_id=agent, actor=user)
    assert state.last_stop_reason is StopReasonType.max_steps
    waits = await manager.create_run(Run(agent_id=agent), user)
    await manager.cancel_run(user, run_id=waits.id)
    state = await agents.get_agent_by_id_async(agent_id=agent, actor=user)
    assert state.last_stop_reason == "cancelled"


async def test_wrong_python_types_are_refused_by_name(manager, user, agent):
    for call, name in (
        (lambda: manager.list_runs(user, statuses=["completed"]), "statuses"),
        (lambda: manager.list_runs(user, limit="5"), "limit"),
        (lambda: manager.list_runs(user, limit=True), "limit"),
        (lambda: manager.list_runs(user, ascending=1), "ascending"),
        (lambda: manager.list_runs(user, start_date="2026-01-01"), "start_date"),
        (lambda: manager.list_runs(user, agent_ids=agent), "agent_ids"),
        (lambda: manager.get_run_by_id(7, user), "run_id"),
        (lambda: manager.get_run_messages(new_id("run"), user, order="up"), "order"),
        (lambda: manager.create_run({"agent_id": agent}, user), "pydantic_run"),
        (lambda: manager.update_run_by_id_async(new_id("run"), {"status": "x"}, user), "update"),
        (lambda: manager.get_run_by_id(new_id("run"), "user-1"), "actor"),
    ):
        with pytest.raises(ValueError, match=f"Argument {name} does not match type"):
            await call()


def test_every_old_error_is_one_of_the_ledgers():
    for error in (
        LettaInvalidArgumentError("x"),
        LettaAgentNotFoundError("x"),
        NoResultFound("run", "x"),
        UniqueConstraintViolationError("run", "x"),
        ConversationBusyError("x"),
    ):
        assert isinstance(error, LedgerError)
    assert isinstance(LettaInvalidArgumentError("x"), LettaError)
    busy = r"CONVERSATION_BUSY: .*'run-1' holding it"
    with pytest.raises(ConversationBusyError, match=busy), translated():
        raise ConversationBusy("conv-1", "run-1")
    with pytest.raises(LettaInvalidArgumentError, match="INVALID_ARGUMENT: no"), translated():
        raise InvalidArgument("no")
    with pytest.raises(NotFound), translated():
        raise NotFound("message", "m")


def test_schemas_are_as_strict_as_they_were(agent):
    with pytest.raises(ValidationError):
        Run(agent_id=agent, colour="red")
    with pytest.raises(ValidationError):
        Run()
    with pytest.raises(ValidationError):
        Run(agent_id=agent, id="12345678")
    assert RunUpdate(colour="red") == RunUpdate()
    assert Run(agent_id=agent, metadata_={"a": 1}).metadata == {"a": 1}
    assert Run(agent_id=agent, metadata={"a": 1}).model_dump(to_orm=True)["metadata_"] == {"a": 1}
    assert "metadata" in Run(agent_id=agent).model_dump()


def test_a_request_config_is_read_from_a_request():
    class Request:
        use_assistant_message = False
        assistant_message_tool_name = "speak"
        assistant_message_tool_kwarg = "words"
        include_return_message_types = ("user_message",)
        max_steps = 50

    config = LettaRequestConfig.from_letta_request(Request())
    assert config.model_dump(mode="json") == {
        "use_assistant_message": False,
        "assistant_message_tool_name": "speak",
        "assistant_message_tool_kwarg": "words",
        "include_return_message_types": ["user_message"],
    }
