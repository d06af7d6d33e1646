"""The same id with the same content again is nothing; with other content it is a conflict."""

from datetime import timedelta

import pytest
from histories_of_a_run import BEGIN, CREATE, PATHS, STEP, History, message

from runledger.errors import ContentConflict, InvalidArgument
from runledger.run import commands as c

FACTS = {"provider_name": "openai", "model": "gpt-4.1", "prompt_tokens": 8, "completion_tokens": 2}


def test_a_step_is_recorded_once() -> None:
    history = History(*PATHS["running"])
    command = c.RecordStep(STEP, FACTS, [message(1), message(2)])
    assert len(history.do(command)) == 2
    assert history.do(command) == []
    assert history.run is not None
    assert (history.run.num_steps, history.run.prompt_tokens) == (1, 8)


def test_a_step_may_bring_messages_that_are_there_and_others() -> None:
    history = History(*PATHS["running"])
    history.do(c.RecordStep(STEP, FACTS, [message(1)]))
    (recorded,) = history.do(c.RecordStep(STEP, FACTS, [message(1), message(2)]))
    assert [m.id for m in recorded.bodies] == [message(2).id]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "changed",
    [
        {"prompt_tokens": 9},
        {"model": "gpt-4o"},
        {"status": "failed"},
        {"completion_tokens": None},
        {"prompt_tokens_details": {"cached_tokens": 1}},
    ],
)
def test_a_step_with_other_content_is_a_conflict(changed: dict[str, object]) -> None:
    history = History(*PATHS["running"])
    history.do(c.RecordStep(STEP, FACTS))
    with pytest.raises(ContentConflict, match=f"{STEP}.*same content again or a fresh id"):
        history.do(c.RecordStep(STEP, {**FACTS, **changed}))


def test_a_message_with_other_content_is_a_conflict() -> None:
    history = History(*PATHS["running"])
    history.do(c.RecordMessages([message(1)]))
    assert history.do(c.RecordMessages([message(1)])) == []
    with pytest.raises(ContentConflict, match=message(1).id):
        history.do(c.RecordMessages([message(2), message(1, "other")]))
    assert history.run is not None
    assert list(history.run.messages) == [message(1).id]


def test_the_callers_time_counts_only_where_it_was_given() -> None:
    history = History()
    history.do(CREATE, at=BEGIN)
    assert history.do(CREATE) == []
    assert history.do(CREATE, at=BEGIN) == []
    with pytest.raises(ContentConflict):
        history.do(CREATE, at=BEGIN + timedelta(seconds=1))


def test_a_run_that_must_be_fresh_is_refused() -> None:
    history = History(CREATE)
    with pytest.raises(ContentConflict):
        history.do(c.CreateRun("agent-a", metadata={"n": 1}, exist_ok=False))


def test_the_same_message_twice_in_one_command_is_refused() -> None:
    history = History(*PATHS["running"])
    with pytest.raises(InvalidArgument, match="the same message id occurs twice"):
        history.do(c.RecordMessages([message(1), message(1)]))


def test_a_started_step_is_started_once() -> None:
    history = History(*PATHS["running"])
    assert len(history.do(c.StartStep(STEP))) == 1
    assert history.do(c.StartStep(STEP)) == []
    history.do(c.RecordStep(STEP))
    assert history.do(c.StartStep(STEP)) == []


def test_a_patch_that_changes_nothing_is_no_event() -> None:
    history = History(CREATE)
    assert history.do(c.PatchMetadata({"n": 1}, ["not there"])) == []
    (patched,) = history.do(c.PatchMetadata({"n": 1, "m": None}, ["x"]))
    assert (patched.patch, patched.removed) == ({"m": None}, [])  # type: ignore[attr-defined]
