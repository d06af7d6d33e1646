"""list_runs: every filter and both orders, page by page, against plain Python over the events."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from run_rows import matching, percentile, run_rows

from projections.queries.run_filter import SortKey
from runledger.errors import InvalidArgument, NotFound
from runledger.ids import derived_id, new_id
from runledger.run import STATUS_OF

START = datetime(2026, 1, 1, tzinfo=UTC)
AGENTS = [f"agent-{name}" for name in "abc"]
TOOLS = [("search", "tool-1"), ("search", None), ("draw", "tool-2"), ("send_message", None)]


async def make_runs(ledger, count: int, seed: int) -> None:
    """Record runs of every fate; their times and durations often tie."""
    dice = random.Random(seed)
    for agent in AGENTS[:2]:
        await ledger.register_agent(agent, project_id=f"project-{agent[-1]}")
    created = []
    for _ in range(count):
        agent = dice.choice(AGENTS)
        at = START + timedelta(minutes=dice.randrange(20))
        run = await ledger.create_run(
            agent,
            conversation_id=dice.choice([None, f"conv-{agent}"]),
            base_template_id=dice.choice([None, "template-1", "template-2"]),
            background=dice.choice([None, False, True]),
            at=at,
        )
        created.append(run.run_id)
        for _ in range(dice.choice([0, 0, 1, 2, 5])):
            name, tool_id = dice.choice(TOOLS)
            call = {"id": new_id("call"), "function": {"name": name, "arguments": "{}"}}
            asks = {"role": "assistant", "tool_calls": [{**call, "tool_id": tool_id}]}
            answers = {"role": "tool", "tool_returns": [{"tool_call_id": call["id"]}]}
            await ledger.record_step(run.run_id, messages=[asks, answers], at=at)
        fate = dice.choice([None, "running", *STATUS_OF])
        if fate in STATUS_OF:
            await ledger.update_run(
                run.run_id,
                stop_reason=fate,
                total_duration_ns=dice.choice([0, 100, 250, 7 * 10**9]),
            )
            if fate == "requires_approval" and dice.random() < 0.5:
                await ledger.cancel_run(run.run_id)
        elif fate:
            await ledger.update_run(run.run_id, status=fate)
        if dice.random() < 0.4:
            await ledger.record_run_feedback(
                run.run_id, dice.choice(["positive", "negative", None])
            )
    for run_id in dice.sample(created, 3):
        await ledger.delete_run(run_id)


def _begun_before_it_ends(asked):
    if {"start_date", "end_date"} <= asked.keys():
        ends = sorted((asked["start_date"], asked["end_date"]))
        return {**asked, **dict(zip(("start_date", "end_date"), ends, strict=True))}
    return asked


filters = (
    st.fixed_dictionaries(
        {},
        optional={
            "agent_id": st.sampled_from(AGENTS),
            "agent_ids": st.lists(st.sampled_from([*AGENTS, "agent-x"]), max_size=2),
            "statuses": st.lists(
                st.sampled_from(["created", "running", "completed", "failed", "cancelled"]),
                max_size=3,
            ),
            "stop_reason": st.sampled_from(list(STATUS_OF)),
            "background": st.sampled_from([None, False, True]),
            "template_family": st.sampled_from(["template-1", "template-9"]),
            "project_id": st.sampled_from(["project-a", "project-b", "project-x"]),
            "conversation_id": st.sampled_from(["conv-agent-a", "conv-x"]),
            "step_count": st.integers(0, 6),
            "step_count_operator": st.sampled_from(["eq", "gt", "gte", "lt", "lte"]),
            "tools_used": st.lists(
                st.sampled_from(["search", "tool-1", "tool-2", "nothing"]), max_size=2
            ),
            "duration_percentile": st.sampled_from([0, 7, 33.3, 50, 80, 100]),
            "duration_filter": st.fixed_dictionaries(
                {
                    "value": st.sampled_from([0, 100, 249, 7 * 10**9]),
                    "operator": st.sampled_from(["eq", "gt", "gte", "lt", "lte"]),
                }
            ),
            "feedback": st.sampled_from(["positive", "negative"]),
            "start_date": st.integers(0, 20).map(lambda n: START + timedelta(minutes=n)),
            "end_date": st.integers(0, 20).map(lambda n: START + timedelta(minutes=n)),
            "order_by": st.sampled_from(get_args(SortKey)),
            "ascending": st.booleans(),
        },
    )
    .map(
        lambda asked: {
            name: value
            for name, value in asked.items()
            if name != "step_count_operator" or "step_count" in asked
        }
    )
    .map(_begun_before_it_ends)
)


def test_lists_equal_a_plain_filter_over_the_events_page_by_page(ledger):
    asyncio.run(make_runs(ledger, 40, seed=1))
    rows = run_rows(ledger.store.read_log(0, 10**6), ledger.actor.organization)
    assert len(rows) == 37

    @settings(max_examples=12, deadline=None)
    @given(asked=filters, limit=st.sampled_from([3, 10, 1000]))
    def check(asked, limit):
        expected = matching(rows, asked)
        assert asyncio.run(pages(ledger, asked, limit, "after")) == expected
        assert asyncio.run(pages(ledger, asked, limit, "before")) == expected[::-1][:12]

    check()


async def pages(ledger, asked, limit, direction) -> list[str]:
    """Follow a list with one cursor: `after` from its start on, `before` from its end back."""
    seen: list[str] = []
    cursor = None
    if direction == "before":
        # The last of the list is where the list in the other order begins.
        flipped = {**asked, "ascending": not asked.get("ascending", False)}
        last = await ledger.list_runs(**flipped, limit=1)
        if not last:
            return []
        seen, cursor = [last[0].run_id], last[0].run_id
    while page := await ledger.list_runs(
        **asked, limit=limit, **({direction: cursor} if cursor else {})
    ):
        ids = [run.run_id for run in page]
        seen += ids if direction == "after" else ids[::-1]
        cursor = seen[-1]
        if direction == "before" and len(seen) >= 12:
            return seen[:12]
    return seen


async def test_pages_stay_stable_while_runs_arrive(ledger, agent):
    old = [(await ledger.create_run(agent)).run_id for _ in range(5)]
    seen = []
    cursor = None
    while page := await ledger.list_runs(limit=2, after=cursor):
        seen += [run.run_id for run in page]
        cursor = seen[-1]
        await ledger.create_run(agent)
    assert seen == old[::-1]


async def make_six(ledger, agent) -> list[str]:
    """Six runs, the oldest first, with durations 100 to 600."""
    made = []
    for number in range(6):
        run = await ledger.create_run(agent, at=START + timedelta(minutes=number))
        await ledger.complete_run(run.run_id, run_ns=(number + 1) * 100)
        made.append(run.run_id)
    return made


async def test_after_is_further_in_the_requested_order(ledger, agent):
    six = await make_six(ledger, agent)
    for ascending, cursor, expected in (
        (True, "after", [4, 5]),
        (True, "before", [1, 2]),
        (False, "after", [2, 1]),
        (False, "before", [5, 4]),
    ):
        for order_by in ("created_at", "duration"):
            page = await ledger.list_runs(
                ascending=ascending, order_by=order_by, limit=2, **{cursor: six[3]}
            )
            assert [six.index(run.run_id) for run in page] == expected, (ascending, cursor)


async def test_a_percentile_keeps_the_slowest_runs(ledger, agent):
    await make_six(ledger, agent)
    for percent, expected in (
        (0, [600, 500, 400, 300, 200, 100]),
        (50, [600, 500, 400]),
        (80, [600, 500]),
        (100, [600]),
    ):
        page = await ledger.list_runs(duration_percentile=percent)
        assert [run.run_ns for run in page] == expected


async def test_the_percentile_is_over_exactly_the_runs_that_the_other_filters_leave(ledger, agent):
    await make_six(ledger, agent)
    other = await ledger.create_run("agent-slow", stop_reason="max_steps", run_ns=10_000)
    for asked in (
        {"stop_reason": "end_turn"},
        {"end_date": START + timedelta(hours=1)},
        {"duration_filter": {"value": 700, "operator": "lt"}},
    ):
        page = await ledger.list_runs(duration_percentile=50, **asked)
        assert [run.run_ns for run in page] == [600, 500, 400]
    page = await ledger.list_runs(duration_percentile=100)
    assert [run.run_id for run in page] == [other.run_id]


@pytest.mark.parametrize(
    "asked",
    [
        {"limit": 0},
        {"limit": -1},
        {"limit": 1001},
        {"limit": True},
        {"limit": "5"},
        {"statuses": ["bogus"]},
        {"statuses": "completed"},
        {"stop_reason": "because"},
        {"order_by": "metadata"},
        {"duration_percentile": 101},
        {"duration_percentile": -1},
        {"duration_percentile": float("nan")},
        {"duration_filter": {"value": 1, "operator": "ne"}},
        {"duration_filter": {"operator": "gt"}},
        {"duration_filter": {"value": -1, "operator": "gt"}},
        {"step_count": -1},
        {"step_count": 1, "step_count_operator": "like"},
        {"start_date": datetime(2026, 1, 1)},  # noqa: DTZ001
        {"after": derived_id("run", "after"), "before": derived_id("run", "before")},
        {"no_such_filter": 1},
        {"step_count_operator": "gt"},
        {"ascending": "no"},
        {"ascending": 1},
        {"background": "yes"},
        {"background": 0},
        {"start_date": "2026-01-01T00:00:00Z"},
        {"end_date": 1_767_225_600},
        {"start_date": START + timedelta(hours=1), "end_date": START},
        {"duration_percentile": "50"},
        {"duration_percentile": True},
    ],
    ids=lambda asked: "-".join(f"{name}={str(value)[:24]}" for name, value in asked.items()),
)
async def test_impossible_values_are_errors(ledger, asked):
    with pytest.raises(InvalidArgument, match="list_runs"):
        await ledger.list_runs(**asked)


async def test_durations_are_of_the_slowest_runs_and_have_no_pages(ledger, agent):
    six = await make_six(ledger, agent)
    found = await ledger.run_durations(duration_percentile=80)
    assert (found.runs, found.p50) == (2, 550)
    assert (await ledger.run_durations(duration_percentile=80, agent_id="agent-x")).runs == 0
    for name, value in {
        "limit": 5,
        "after": six[0],
        "before": six[0],
        "ascending": True,
        "order_by": "duration",
    }.items():
        with pytest.raises(InvalidArgument, match=f"run_durations.*found {name}"):
            await ledger.run_durations(**{name: value})


async def test_an_unknown_cursor_is_an_error(ledger, stranger, agent):
    six = await make_six(ledger, agent)
    theirs = await stranger.create_run(agent)
    deleted = six[0]
    await ledger.delete_run(deleted)
    for cursor in (new_id("run"), theirs.run_id, deleted):
        with pytest.raises(NotFound, match="it is the cursor of a page"):
            await ledger.list_runs(after=cursor)
        with pytest.raises(NotFound):
            await ledger.list_runs(before=cursor)


async def test_an_open_run_is_no_cursor_of_an_order_by_duration(ledger, agent):
    run = await ledger.create_run(agent)
    with pytest.raises(InvalidArgument, match="must have one"):
        await ledger.list_runs(order_by="duration", after=run.run_id)


@pytest.mark.slow
async def test_every_pair_of_filters_keeps_what_both_keep(ledger):
    await make_runs(ledger, 30, seed=2)
    sole = [
        {"run_id": (await ledger.list_runs(limit=1))[0].run_id},
        {"agent_id": AGENTS[0]},
        {"agent_ids": [AGENTS[1], AGENTS[2]]},
        {"statuses": ["completed", "running"]},
        {"stop_reason": "end_turn"},
        {"background": False},
        {"template_family": "template-1"},
        {"project_id": "project-a"},
        {"conversation_id": "conv-agent-b"},
        {"step_count": 0, "step_count_operator": "gt"},
        {"tools_used": ["search"]},
        {"duration_filter": {"value": 100}},
        {"start_date": START + timedelta(minutes=5)},
        {"end_date": START + timedelta(minutes=15)},
    ]

    async def found(asked) -> set[str]:
        return {run.run_id for run in await ledger.list_runs(**asked, limit=1000)}

    for one, other in combinations(sole, 2):
        assert await found({**one, **other}) == await found(one) & await found(other), (one, other)


async def test_empty_lists_and_texts_filter_nothing(ledger, agent):
    await make_six(ledger, agent)
    for asked in (
        {"statuses": []},
        {"agent_ids": []},
        {"tools_used": []},
        {"project_id": ""},
        {"template_family": ""},
        {"run_id": ""},
    ):
        assert len(await ledger.list_runs(**asked)) == 6


async def test_a_filter_for_the_foreground_finds_runs_that_never_said(ledger, agent):
    for background in (None, False, True):
        await ledger.create_run(agent, background=background)
    assert len(await ledger.list_runs(background=False)) == 2
    assert len(await ledger.list_runs(background=True)) == 1


def test_the_oracles_percentile_interpolates():
    assert percentile([100, 200, 300, 400, 500, 600], 80) == 500
    assert percentile([1, 2], 50) == 1.5
