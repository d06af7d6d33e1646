"""Decisions about feedback: the last feedback on a run, or on an ended step, replaces earlier."""

from runledger.errors import InvalidArgument, NotFound
from runledger.events import Event, RunFeedbackRecorded, StepFeedbackRecorded
from runledger.ids import check_id
from runledger.run import commands as c
from runledger.run.envelope import Envelope
from runledger.run.rules import Priors, allow, make
from runledger.run.state import Judgement, Run


def judge_run(
    run: Run, command: c.RecordRunFeedback, env: Envelope, _priors: Priors
) -> list[Event]:
    """Record feedback on the run; no event if it equals the last feedback."""
    allow(run, RunFeedbackRecorded)
    judged = make(RunFeedbackRecorded, run, env, feedback=command.feedback)
    return [] if command.feedback == run.feedback else [judged]


def judge_step(
    run: Run, command: c.RecordStepFeedback, env: Envelope, _priors: Priors
) -> list[Event]:
    """Record feedback on a step that has ended; no event if it equals the last feedback."""
    check_id("step", command.step_id)
    allow(run, StepFeedbackRecorded)
    if isinstance(command.tags, str):
        # A text is a sequence of texts in Python: each letter would be read as a tag.
        raise InvalidArgument(f"tags: expected a list of texts, found {command.tags!r:.80}")
    judged = make(
        StepFeedbackRecorded,
        run,
        env,
        step_id=command.step_id,
        feedback=command.feedback,
        tags=None if command.tags is None else list(command.tags),
    )
    if command.step_id in run.open_steps:
        raise InvalidArgument(f"step {command.step_id!r}: expected one that ended, found pending")
    if command.step_id not in run.steps:
        raise NotFound("step", command.step_id)
    last = run.step_feedback.get(command.step_id, Judgement(None, None))
    tags = last.tags if command.tags is None else list(command.tags)
    return [] if last == Judgement(command.feedback, tags) else [judged]
