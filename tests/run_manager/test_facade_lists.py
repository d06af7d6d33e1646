"""The facade's list_runs: the old parameters, and cursors read the old way or as documented."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from runledger.compat import (
    ComparisonOperator,
    LettaInvalidArgumentError,
    Message,
    NoResultFound,
    Run,
    RunManager,
    RunStatus,
    RunUpdate,
    StopReasonType,
)
from runledger.ids import new_id

START = datetime(2026, 1, 1, tzinfo=UTC)


async def timed(manager, user, agent, count=6) -> list[str]:
    """Runs with durations 100, 200, …; the oldest first."""
    made = []
    for number in range(count):
        at = START + timedelta(minutes=number)
        run = await manager.create_run(Run(agent_id=agent, created_at=at), user)
        update = RunUpdate(status=RunStatus.completed, total_duration_ns=(number + 1) * 100)
        await manager.update_run_by_id_async(run.id, update, user)
        made.append(run.id)
    return made


async def test_a_page_before_the_last_is_older(manager, user, agent):
    created = [(await manager.create_run(Run(agent_id=agent), user)).id for _ in range(7)]
    seen: list[str] = []
    cursor = None
    while page := await manager.list_runs(actor=user, limit=3, before=cursor):
        seen += [run.id for run in page]
        cursor = page[-1].id
    assert seen == created[::-1]


async def test_cursors_are_read_as_the_server_chose(ledger, user, agent):
    six = await timed(RunManager(ledger), user, agent)
    for cursors, ascending, cursor, expected in (
        ("parity", True, "before", [4, 5]),
        ("parity", True, "after", [1, 2]),
        ("parity", False, "before", [2, 1]),
        ("parity", False, "after", [5, 4]),
        ("documented", True, "before", [1, 2]),
        ("documented", True, "after", [4, 5]),
        ("documented", False, "before", [5, 4]),
        ("documented", False, "after", [2, 1]),
    ):
        manager = RunManager(ledger, cursors=cursors)
        page = await manager.list_runs(user, ascending=ascending, limit=2, **{cursor: six[3]})
        assert [six.index(run.id) for run in page] == expected, (cursors, ascending, cursor)


async def test_an_unknown_cursor_is_no_result_and_two_are_refused(manager, user, agent):
    six = await timed(manager, user, agent)
    with pytest.raises(NoResultFound):
        await manager.list_runs(user, before=new_id("run"))
    with pytest.raises(LettaInvalidArgumentError, match="found both"):
        await manager.list_runs(user, before=six[0], after=six[1])


async def test_limits(manager, user, agent):
    await timed(manager, user, agent, count=2)
    assert await manager.list_runs(user, limit=0) == []
    for limit in (None, 5000):
        assert len(await manager.list_runs(user, limit=limit)) == 2
    with pytest.raises(LettaInvalidArgumentError):
        await manager.list_runs(user, limit=-1)


async def test_one_agent_goes_before_many(manager, user, agent):
    run = await manager.create_run(Run(agent_id=agent), user)
    asked = {"agent_id": agent, "agent_ids": ["agent-x"]}
    assert [found.id for found in await manager.list_runs(user, **asked)] == [run.id]


async def test_statuses_stop_reasons_and_background(manager, user, agent):
    for status in RunStatus:
        await manager.create_run(
            Run(agent_id=agent, status=status, metadata={"type": status.value},
                background=status is RunStatus.running),
            user,
        )  # fmt: skip
    for status in RunStatus:
        (found,) = await manager.list_runs(user, statuses=[status])
        assert found.metadata == {"type": status.value}
    assert len(await manager.list_runs(user, statuses=list(RunStatus))) == 5
    assert len(await manager.list_runs(user, statuses=[])) == 5
    assert len(await manager.list_runs(user, background=True)) == 1
    assert len(await manager.list_runs(user, background=False)) == 4
    assert len(await manager.list_runs(user, stop_reason=StopReasonType.end_turn)) == 1
    assert len(await manager.list_runs(user, stop_reason="cancelled")) == 1


async def test_agents_templates_projects_and_conversations(manager, ledger, user, agent):
    other = new_id("agent")
    await ledger.register_agent(agent, project_id="project-1")
    conversation = new_id("conv")
    first = await manager.create_run(
        Run(agent_id=agent, base_template_id="family", conversation_id=conversation), user
    )
    second = await manager.create_run(Run(agent_id=other), user)
    for asked, expected in (
        ({"agent_id": agent}, [first]),
        ({"agent_ids": [agent, other]}, [second, first]),
        ({"agent_id": other, "agent_ids": [agent]}, [second]),
        ({"template_family": "family"}, [first]),
        ({"project_id": "project-1"}, [first]),
        ({"conversation_id": conversation}, [first]),
        ({"run_id": second.id}, [second]),
        ({"run_id": "", "project_id": "", "template_family": ""}, [second, first]),
    ):
        assert await manager.list_runs(user, **asked) == expected


async def test_step_counts_compare(manager, ledger, user, agent):
    for count in range(4):
        run = await manager.create_run(Run(agent_id=agent), user)
        for _ in range(count):
            await ledger.record_step(run.id)
    for comparison, expected in (
        (ComparisonOperator.EQ, 1),
        (ComparisonOperator.GTE, 2),
        (ComparisonOperator.LTE, 3),
        (ComparisonOperator.GT, 1),
        (ComparisonOperator.LT, 2),
    ):
        found = await manager.list_runs(user, step_count=2, step_count_operator=comparison)
        assert len(found) == expected, comparison


async def test_tools_are_found_by_id_and_by_name(manager, messages, user, agent, tool_ids):
    tool_ids["print_tool"] = tool_id = new_id("tool")
    run = await manager.create_run(Run(agent_id=agent), user)
    await manager.create_run(Run(agent_id=agent), user)
    call = {"id": "c", "type": "function", "function": {"name": "print_tool", "arguments": "{}"}}
    asks = Message(role="assistant", agent_id=agent, run_id=run.id, tool_calls=[call])
    await messages.create_many_messages_async([asks], actor=user)
    await manager.update_run_by_id_async(run.id, RunUpdate(status=RunStatus.completed), user)
    assert (await manager.get_run_metrics_async(run.id, user)).tools_used == [tool_id]
    for asked in (tool_id, "print_tool"):
        assert [r.id for r in await manager.list_runs(user, tools_used=[asked, "x"])] == [run.id]
    assert await manager.list_runs(user, tools_used=["x"]) == []


async def test_durations_filter_order_and_percentile(manager, user, agent):
    await timed(manager, user, agent)
    open_run = await manager.create_run(Run(agent_id=agent), user)

    async def durations(**asked):
        return [run.total_duration_ns for run in await manager.list_runs(user, **asked)]

    assert await durations(order_by="duration") == [600, 500, 400, 300, 200, 100]
    assert await durations(order_by="duration", ascending=True, limit=2) == [100, 200]
    assert await durations(duration_percentile=50) == [600, 500, 400]
    assert await durations(duration_percentile=80) == [600, 500]
    assert await durations(duration_filter={"value": 400, "operator": "gt"}) == [600, 500]
    assert await durations(duration_filter={"value": 200, "operator": "lt"}) == [100]
    as_object = SimpleNamespace(value=300, operator=SimpleNamespace(value="eq"))
    assert await durations(duration_filter=as_object) == [300]
    assert (await manager.list_runs(user))[0].id == open_run.id
    for asked in (
        {"duration_percentile": 101},
        {"duration_filter": {"value": 1, "operator": "about"}},
        {"order_by": "agent"},
    ):
        with pytest.raises(LettaInvalidArgumentError):
            await manager.list_runs(user, **asked)


async def test_dates_are_inclusive_and_utc_where_they_name_no_zone(manager, user, agent):
    six = await timed(manager, user, agent)
    asked = {"start_date": datetime(2026, 1, 1, 0, 1), "end_date": START + timedelta(minutes=3)}  # noqa: DTZ001
    found = await manager.list_runs(user, ascending=True, **asked)
    assert [run.id for run in found] == six[1:4]
