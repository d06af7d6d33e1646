"""Feedback on a run and on its steps: the last word counts, in every state but deleted."""

import pytest
from histories_of_a_run import PATHS, STEP, History

from runledger.errors import IllegalTransition, InvalidArgument, NotFound
from runledger.run import commands as c

OTHER = STEP.replace("1", "2")


@pytest.mark.parametrize("state", sorted(PATHS.keys() - {"deleted"}))
def test_a_step_that_ended_is_judged_in_every_state(state: str) -> None:
    history = History(*PATHS[state], c.RecordStep(STEP, {"tags": ["recorded"]}))
    run = history.run
    assert run is not None
    before = run.status, run.stop_reason
    (event,) = history.do(c.RecordStepFeedback(STEP, "negative"))
    assert (event.topic, event.step_id) == ("run.step_feedback_recorded", STEP)  # type: ignore[attr-defined]
    assert history.do(c.RecordStepFeedback(STEP, "negative")) == []
    assert len(history.do(c.RecordStepFeedback(STEP, "negative", ["a"]))) == 1
    assert history.do(c.RecordStepFeedback(STEP, "negative")) == []
    assert len(history.do(c.RecordStepFeedback(STEP, None))) == 1
    assert run.step_feedback[STEP] == (None, ["a"])
    assert history.do(c.RecordStepFeedback(STEP, None, ["a"])) == []
    assert (run.status, run.stop_reason) == before


def test_what_was_never_given_is_not_taken_back() -> None:
    history = History(*PATHS["running"], c.RecordStep(STEP))
    assert history.do(c.RecordStepFeedback(STEP, None)) == []
    assert history.do(c.RecordRunFeedback(None)) == []


def test_a_step_without_an_end_is_not_judged() -> None:
    history = History(*PATHS["running"], c.StartStep(STEP))
    with pytest.raises(InvalidArgument, match="found pending"):
        history.do(c.RecordStepFeedback(STEP, "positive"))
    with pytest.raises(NotFound, match=OTHER):
        history.do(c.RecordStepFeedback(OTHER, "positive"))
    for wrong in ({"feedback": "good"}, {"feedback": "positive", "tags": "x"}):
        with pytest.raises(InvalidArgument):
            history.do(c.RecordStepFeedback(STEP, **wrong))  # type: ignore[arg-type]
    with pytest.raises(IllegalTransition):
        History(*PATHS["deleted"]).do(c.RecordStepFeedback(STEP, "positive"))
