"""list_steps: every filter and both orders, page by page, against the steps of each run's stream."""

import asyncio
import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runledger.compat import FeedbackType, NoResultFound, UsageStatistics
from runledger.errors import InvalidArgument, NotFound, ReadModelsMissing
from runledger.ids import new_id

START = datetime(2026, 1, 1, tzinfo=UTC)
AGENTS = [f"agent-{name}" for name in "ab"]
MODELS = ["gpt", "claude", None]
TRACES = ["t1", "t2", None]
TAGS = [[], ["x"], ["y"], ["x", "y"]]


async def make_steps(ledger, count: int, seed: int) -> list:
    """Record steps of several runs, many at equal times; return them as their streams tell them,
    in the order of the log."""
    dice = random.Random(seed)
    await ledger.register_agent(AGENTS[0], project_id="project-a")
    runs = [(await ledger.create_run(dice.choice(AGENTS), at=START)).run_id for _ in range(6)]
    recorded = []
    for _ in range(count):
        run_id = dice.choice(runs)
        step_id = await ledger.record_step(
            run_id,
            model=dice.choice(MODELS),
            trace_id=dice.choice(TRACES),
            tags=dice.choice(TAGS),
            provider="openai",
            provider_id="provider-1",
            model_handle="openai/gpt",
            model_endpoint="https://api.openai.com/v1",
            context_window_limit=8192,
            origin="chat",
            tid="tid-1",
            prompt_tokens=dice.randrange(9),
            prompt_tokens_details={"cached_tokens": 0},
            at=START + timedelta(minutes=dice.randrange(6)),
        )
        recorded.append((run_id, step_id))
        if dice.random() < 0.4:
            await ledger.record_step_feedback(
                step_id,
                dice.choice(["positive", "negative", None]),
                tags=dice.choice([None, ["x"], ["judged"]]),
                run_id=run_id,
            )
    recorded.append((runs[0], await ledger.start_step(runs[0], model="gpt", at=START)))
    await ledger.delete_run(runs[-1])
    there = {
        view.step_id: view for run_id in runs[:-1] for view in await ledger.get_run_steps(run_id)
    }
    return [there[step_id] for run_id, step_id in recorded if run_id != runs[-1]]


def kept(steps: list, asked: dict) -> list[str]:
    """Return the ids that a list with these parameters shows, unpaged, in order."""
    names = {"run_id", "agent_id", "model", "project_id"} & asked.keys()
    found = [
        (step.created_at, place, step.step_id)
        for place, step in enumerate(steps)
        if all(getattr(step, name) == asked[name] for name in names)
        and (not asked.get("trace_ids") or step.trace_id in asked["trace_ids"])
        and (not asked.get("tags") or set(step.tags) & set(asked["tags"]))
        and asked.get("feedback") in (None, step.feedback)
        and asked.get("has_feedback") in (None, step.feedback is not None)
        and asked.get("start_date", START) <= step.created_at
        and step.created_at < asked.get("end_date", START + timedelta(days=9))
    ]
    found.sort(reverse=asked.get("order") != "asc")
    return [step_id for _, _, step_id in found]


moments = st.integers(0, 3).map(lambda n: START + timedelta(minutes=n))
filters = st.fixed_dictionaries(
    {},
    optional={
        "agent_id": st.sampled_from([*AGENTS, "agent-x"]),
        "model": st.sampled_from(["gpt", "claude", "other"]),
        "project_id": st.sampled_from(["project-a", "project-x"]),
        "trace_ids": st.lists(st.sampled_from(["t1", "t2", "t3"]), max_size=2),
        "tags": st.lists(st.sampled_from(["x", "y", "judged", "z"]), max_size=2),
        "feedback": st.sampled_from(["positive", "negative"]),
        "has_feedback": st.booleans(),
        "start_date": moments,
        "end_date": moments.map(lambda moment: moment + timedelta(minutes=4)),
        "order": st.sampled_from(["asc", "desc"]),
    },
)


async def pages(ledger, asked: dict, limit: int, direction: str) -> list[str]:
    """Follow a list with one cursor: `after` from its start on, `before` from its end back."""
    first = await ledger.list_steps(**asked, limit=1000)
    if direction == "after":
        seen = [step.step_id for step in first[:1]]
        while page := await ledger.list_steps(**asked, limit=limit, after=seen[-1]) if seen else []:
            seen += [step.step_id for step in page]
        return seen
    seen = [step.step_id for step in first[-1:]]
    while page := await ledger.list_steps(**asked, limit=limit, before=seen[0]) if seen else []:
        seen = [step.step_id for step in page] + seen
    return seen


@pytest.mark.slow
def test_lists_equal_a_plain_filter_over_the_streams_page_by_page(ledger):
    steps = asyncio.run(make_steps(ledger, 40, seed=2))

    @settings(max_examples=12, deadline=None)
    @given(asked=filters, limit=st.sampled_from([1, 7, 1000]))
    def check(asked, limit):
        expected = kept(steps, asked)
        assert asyncio.run(pages(ledger, asked, limit, "after")) == expected
        assert asyncio.run(pages(ledger, asked, limit, "before")) == expected

    check()


async def test_a_listed_step_says_what_the_stream_says(ledger, agent):
    steps = await make_steps(ledger, 12, seed=3)
    listed = {step.step_id: step for step in await ledger.list_steps(limit=1000)}
    assert len(listed) == len(steps)
    for step in steps:
        assert listed[step.step_id] == step
        assert await ledger.get_step(step.step_id) == step
    position = ledger.store.head()
    await ledger.record_step(steps[0].run_id)
    assert len(await ledger.list_steps(as_of=position)) == len(steps)


async def test_wrong_parameters_are_named(ledger):
    for wrong in (
        {"limit": 0},
        {"limit": 1001},
        {"order": "up"},
        {"tags": "x"},
        {"feedback": "good"},
        {"has_feedback": 1},
        {"nonsense": 1},
        {"start_date": START.replace(tzinfo=None)},
        {"start_date": START, "end_date": START},
        {"after": new_id("step"), "before": new_id("step")},
    ):
        with pytest.raises(InvalidArgument, match="list_steps"):
            await ledger.list_steps(**wrong)
    for cursor in ("after", "before"):
        with pytest.raises(NotFound, match="cursor"):
            await ledger.list_steps(**{cursor: new_id("step")})
    with pytest.raises(InvalidArgument):
        await ledger.get_step("step-1")
    with pytest.raises(NotFound):
        await ledger.get_step(new_id("step"))


async def test_the_facade_lists_steps_of_an_agent(ledger, steps, user):
    recorded = await make_steps(ledger, 20, seed=4)
    found = await steps.list_steps_async(user, agent_id=AGENTS[0])
    assert [step.id for step in found] == kept(recorded, {"agent_id": AGENTS[0]})
    assert found[0].tags == next(s.tags for s in recorded if s.step_id == found[0].id)
    assert await steps.list_steps_async(user, agent_id=AGENTS[0], limit=0) == []
    end = START + timedelta(minutes=1)
    naive = end.replace(tzinfo=None)  # It is in UTC there.
    early = await steps.list_steps_async(user, end_date=naive, order="asc")
    assert [s.id for s in early] == kept(recorded, {"end_date": end, "order": "asc"})
    step_id = await ledger.record_step(recorded[0].run_id, step_ns=5, llm_request_ns=3)
    assert (await steps.get_step_async(step_id, user)).id == step_id
    times = await steps.get_step_metrics_async(user, step_id)
    assert (times.id, times.step_ns, times.llm_request_ns) == (step_id, 5, 3)
    with pytest.raises(NoResultFound):
        await steps.list_steps_async(user, after=new_id("step"))


async def test_a_step_that_the_facade_logged_is_in_its_list(manager, steps, user, agent):
    from runledger.compat import Run

    run = await manager.create_run(Run(agent_id=agent), user)
    logged = await steps.log_step_async(
        user, agent, "openai", "base", "gpt", "https://x", 8192, UsageStatistics(), run_id=run.id
    )
    assert await steps.list_steps_async(user, agent_id=agent) == [logged]


async def test_feedback_is_the_last_word_on_a_step(ledger, steps, user, agent):
    run = await ledger.create_run(agent, status="running")
    step_id = await ledger.record_step(run.run_id, tags=["a"])
    await ledger.complete_run(run.run_id)
    judged = await steps.add_feedback_async(step_id, FeedbackType.POSITIVE, user, tags=["b"])
    assert (judged.feedback, judged.tags) == ("positive", ["b"])
    found = await steps.list_steps_async(user, feedback="positive", has_feedback=True)
    assert found == [judged]
    position = ledger.store.head()
    taken_back = await ledger.record_step_feedback(step_id, None)
    assert taken_back == await ledger.get_step(step_id)
    assert (taken_back.feedback, taken_back.tags) == (None, ["b"])
    assert (await ledger.get_step(step_id, as_of=position)).feedback == "positive"
    before = ledger.store.head()
    await ledger.record_step_feedback(step_id, None)
    assert ledger.store.head() == before


async def test_feedback_on_a_run_changes_no_outcome(ledger, agent):
    run = await ledger.create_run(agent, stop_reason="end_turn")
    judged = await ledger.record_run_feedback(run.run_id, "negative")
    assert (judged.feedback, judged.status) == ("negative", "completed")
    assert await ledger.list_runs(feedback="negative") == [judged]
    assert (await ledger.record_run_feedback(run.run_id, None)).feedback is None
    assert await ledger.list_runs(feedback="negative") == []
    with pytest.raises(InvalidArgument, match="feedback"):
        await ledger.record_run_feedback(run.run_id, "good")


async def test_a_ledger_without_read_models_is_told_the_run(own_ledger, agent):
    async with own_ledger(read_models=False) as ledger:
        run = await ledger.create_run(agent)
        step_id = await ledger.record_step(run.run_id)
        with pytest.raises(ReadModelsMissing):
            await ledger.record_step_feedback(step_id, "positive")
        judged = await ledger.record_step_feedback(step_id, "positive", run_id=run.run_id)
        assert judged.feedback == "positive"
