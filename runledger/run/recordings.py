"""Decisions about steps and messages: each is recorded once, late ones are marked."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from runledger.errors import ContentConflict, InvalidArgument
from runledger.events import Event, MessagesRecorded, StepRecorded, StepStarted
from runledger.ids import check_id
from runledger.run import commands as c
from runledger.run.call_ids import unique_calls
from runledger.run.envelope import Envelope, optional_in_utc
from runledger.run.rules import Priors, allow, make, same
from runledger.run.state import Run
from runledger.run.step_facts import step_facts


def start_step(run: Run, command: c.StartStep, env: Envelope, _priors: Priors) -> list[Event]:
    """Record that a step began; no event if it is recorded already."""
    check_id("step", command.step_id)
    if command.step_id in run.open_steps or command.step_id in run.steps:
        return []
    allow(run, StepStarted)
    return [
        make(
            StepStarted,
            run,
            env,
            step_id=command.step_id,
            provider_name=command.provider_name,
            model=command.model,
        )
    ]


def record_step(run: Run, command: c.RecordStep, env: Envelope, priors: Priors) -> list[Event]:
    """Record a step that ended and its messages; marked as late if the run has ended."""
    check_id("step", command.step_id)
    late = allow(run, StepRecorded)
    step = make(
        StepRecorded,
        run,
        env,
        **{**step_facts(command.facts), "step_id": command.step_id, "late": late},
    )
    events: list[Event] = []
    if command.step_id in run.steps:
        prior = priors.get(command.step_id)
        if prior is None or not same(prior, step, env):
            raise ContentConflict("step", command.step_id, run.run_id)
    else:
        events.append(step)
    if command.messages:
        events += _messages(
            run, command.messages, command.approval_deadline, env, priors, command.step_id
        )
    return events


def _messages(
    run: Run,
    messages: Sequence[Any],
    deadline: datetime | None,
    env: Envelope,
    priors: Priors,
    step_id: str | None,
) -> list[Event]:
    late = allow(run, MessagesRecorded)
    fresh = []
    for given in messages:
        check_id("message", given.id)
        prior = priors.get(given.id) if given.id in run.messages else None
        stored = next((b for b in getattr(prior, "bodies", ()) if b.id == given.id), None)
        unsaid: dict[str, Any] = {}
        if step_id is not None and not given.step_id:
            unsaid["step_id"] = step_id
        if given.created_at is None:
            unsaid["created_at"] = stored.created_at if stored else env.occurred_at
        message = given.model_copy(update=unsaid) if unsaid else given
        if given.id not in run.messages:
            fresh.append(message)
        elif stored != message:
            raise ContentConflict("message", message.id, run.run_id)
    if len({message.id for message in fresh}) != len(fresh):
        raise InvalidArgument(f"messages of run {run.run_id!r}: the same message id occurs twice")
    if not fresh:
        return []
    return [
        make(
            MessagesRecorded,
            run,
            env,
            messages=unique_calls(run, fresh),
            bodies=fresh,
            approval_deadline=optional_in_utc("approval_deadline", deadline),
            late=late,
        )
    ]


def record_messages(
    run: Run, command: c.RecordMessages, env: Envelope, priors: Priors
) -> list[Event]:
    """Record the messages that are not recorded yet."""
    return _messages(run, command.messages, command.approval_deadline, env, priors, None)
