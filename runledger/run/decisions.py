"""decide(run, command, envelope) → events: everything the ledger accepts or refuses about a run."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pydantic import ValidationError

from runledger import errors
from runledger.errors import AlreadyEnded, ContentConflict, IllegalTransition, InvalidArgument
from runledger.events import (
    CallbackAttempted,
    CallbackRequested,
    CallFacts,
    Event,
    HeartbeatRecorded,
    MessagesRecorded,
    RunCancelled,
    RunCompleted,
    RunCreated,
    RunDeleted,
    RunEvent,
    RunFailed,
    RunMetadataPatched,
    RunStarted,
    StepRecorded,
    StepStarted,
    ToolCallsDenied,
)
from runledger.ids import check_id
from runledger.run import commands as c
from runledger.run import denials
from runledger.run.call_ids import unique_calls
from runledger.run.envelope import Envelope, aware
from runledger.run.message_facts import describe_message
from runledger.run.state import Run
from runledger.run.transitions import NONE, STATUS_OF, TRANSITIONS, RunStatus
from runledger.usage import buckets

Priors = Mapping[str, Event]
"""Natural key (run, step or message id) → the event that recorded it, for keys seen again."""

_ENVELOPE: Final = frozenset(
    {"event_id", "occurred_at", "recorded_at", "user", "correlation_id", "born", "late"}
)
_CANCELLED: Final = "The user cancelled the request, so the tool call was denied."
_TOO_LATE: Final = "The approval did not arrive in time, so the tool call was denied."


def _make(cls: type[RunEvent], run: Run, envelope: Envelope, **fields: Any) -> Event:
    try:
        return cls(
            **envelope.stamp(),
            agent_id=run.agent_id,
            project_id=run.project_id,
            born=run.born,
            **fields,
        )
    except ValidationError as e:
        raise InvalidArgument(f"{cls.topic}: {errors.describe(e)}") from e


def _allow(run: Run, event: type[Event]) -> bool:
    """Check the transition table; return whether the event is late, raise where it is refused."""
    rule = TRANSITIONS[event]
    found = run.state
    if found in rule.allowed:
        return False
    if rule.late and run.ended and not run.deleted:
        return True
    if run.ended and not run.deleted:
        raise AlreadyEnded(run.run_id, event.topic, found, rule.allowed, run.stop_reason)
    raise IllegalTransition(run.run_id, event.topic, found, rule.allowed)


def _same(prior: Event, again: Event, envelope: Envelope) -> bool:
    """Whether the caller repeats what is recorded; times count only where the caller gave them."""
    if envelope.explicit_time and prior.occurred_at != again.occurred_at:
        return False
    return prior.model_dump(exclude=set(_ENVELOPE)) == again.model_dump(exclude=set(_ENVELOPE))


def _create(run: Run | None, command: c.CreateRun, env: Envelope, priors: Priors) -> list[Event]:
    try:
        created = RunCreated(
            **env.stamp(),
            agent_id=command.agent_id,
            project_id=command.project_id,
            born=int(
                (env.recorded_at - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1)
            ),
            conversation_id=command.conversation_id,
            hold_conversation=command.hold_conversation,
            base_template_id=command.base_template_id,
            background=command.background,
            metadata=dict(command.metadata),
            request_config=None if command.request_config is None else dict(command.request_config),
            callback_url=command.callback_url,
        )
    except ValidationError as e:
        raise InvalidArgument(f"{RunCreated.topic}: {errors.describe(e)}") from e
    if run is None:
        return [created]
    prior = priors.get(run.run_id)
    if run.deleted or not command.exist_ok or prior is None or not _same(prior, created, env):
        raise ContentConflict("run", run.run_id)
    return []


def _start(run: Run, _command: c.StartRun, env: Envelope, _priors: Priors) -> list[Event]:
    if run.status is RunStatus.RUNNING and not run.deleted:
        return []
    _allow(run, RunStarted)
    return [_make(RunStarted, run, env)]


def _start_step(run: Run, command: c.StartStep, env: Envelope, _priors: Priors) -> list[Event]:
    check_id("step", command.step_id)
    if command.step_id in run.open_steps or command.step_id in run.steps:
        return []
    _allow(run, StepStarted)
    return [
        _make(
            StepStarted,
            run,
            env,
            step_id=command.step_id,
            provider_name=command.provider_name,
            model=command.model,
        )
    ]


def _step_facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    whole = dict(facts)
    prompt, completion = whole.get("prompt_tokens"), whole.get("completion_tokens")
    for name, count in (("prompt_tokens", prompt), ("completion_tokens", completion)):
        if count is not None and (
            isinstance(count, bool) or not isinstance(count, int) or count < 0
        ):
            raise InvalidArgument(f"{name}: expected a token count of 0 or more, found {count!r}")
    if whole.get("total_tokens") is None and (prompt is not None or completion is not None):
        whole["total_tokens"] = (prompt or 0) + (completion or 0)
    split = buckets(
        whole.get("provider_name"),
        prompt,
        completion,
        whole.get("prompt_tokens_details"),
        whole.get("completion_tokens_details"),
    )
    whole.update(split._asdict())
    return whole


def _record_step(run: Run, command: c.RecordStep, env: Envelope, priors: Priors) -> list[Event]:
    check_id("step", command.step_id)
    late = _allow(run, StepRecorded)
    step = _make(
        StepRecorded,
        run,
        env,
        **{**_step_facts(command.facts), "step_id": command.step_id, "late": late},
    )
    events: list[Event] = []
    if command.step_id in run.steps:
        prior = priors.get(command.step_id)
        if prior is None or not _same(prior, step, env):
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
    late = _allow(run, MessagesRecorded)
    fresh = []
    for given in messages:
        message = (
            given
            if given.step_id or step_id is None
            else given.model_copy(update={"step_id": step_id})
        )
        check_id("message", message.id)
        if message.id not in run.messages:
            fresh.append(message)
            continue
        prior = priors.get(message.id)
        stored = next((b for b in getattr(prior, "bodies", ()) if b.id == message.id), None)
        if message.created_at is None and stored is not None:
            message = message.model_copy(update={"created_at": stored.created_at})
        if stored != message:
            raise ContentConflict("message", message.id, run.run_id)
    if len({message.id for message in fresh}) != len(fresh):
        raise InvalidArgument(f"messages of run {run.run_id!r}: the same message id occurs twice")
    if not fresh:
        return []
    bodies = [
        m if m.created_at else m.model_copy(update={"created_at": env.occurred_at}) for m in fresh
    ]
    return [
        _make(
            MessagesRecorded,
            run,
            env,
            messages=unique_calls(run, [describe_message(m) for m in bodies]),
            bodies=bodies,
            approval_deadline=aware("approval_deadline", deadline),
            late=late,
        )
    ]


def _record_messages(
    run: Run, command: c.RecordMessages, env: Envelope, priors: Priors
) -> list[Event]:
    return _messages(run, command.messages, command.approval_deadline, env, priors, None)


def _patch(run: Run, command: c.PatchMetadata, env: Envelope, _priors: Priors) -> list[Event]:
    _allow(run, RunMetadataPatched)
    both = set(command.patch) & set(command.remove)
    if both:
        raise InvalidArgument(f"metadata keys {sorted(both)} are both set and removed")
    changed = {
        k: v for k, v in command.patch.items() if k not in run.metadata or run.metadata[k] != v
    }
    removed = [key for key in command.remove if key in run.metadata]
    if not changed and not removed:
        return []
    return [_make(RunMetadataPatched, run, env, patch=changed, removed=removed)]


def _heartbeat(
    run: Run, _command: c.RecordHeartbeat, env: Envelope, _priors: Priors
) -> list[Event]:
    _allow(run, HeartbeatRecorded)
    return [_make(HeartbeatRecorded, run, env)]


def _duration(
    run: Run, env: Envelope, command: c.CompleteRun | c.FailRun | c.CancelRun
) -> int | None:
    """Return the duration in ns: the caller's monotonic one, else by the clocks, never negative."""
    if command.run_ns is not None or not command.measured:
        return command.run_ns
    return max(0, (env.occurred_at - run.created_at) // timedelta(microseconds=1) * 1000)


def _ends_as(run_id: str, stop_reason: str, *statuses: RunStatus) -> None:
    status = STATUS_OF.get(stop_reason)
    if status is None:
        raise InvalidArgument(
            f"stop_reason of run {run_id!r}: expected one of {', '.join(STATUS_OF)}, "
            f"found {stop_reason!r}"
        )
    if status not in statuses:
        raise InvalidArgument(
            f"stop_reason of run {run_id!r}: {stop_reason!r} means {status.value}, "
            f"expected one that means {' or '.join(s.value for s in statuses)}"
        )


def _complete(run: Run, command: c.CompleteRun, env: Envelope, _priors: Priors) -> list[Event]:
    _ends_as(run.run_id, command.stop_reason, RunStatus.COMPLETED)
    if run.status is RunStatus.COMPLETED and run.stop_reason == command.stop_reason:
        return []
    _allow(run, RunCompleted)
    run_ns = _duration(run, env, command)
    return [_make(RunCompleted, run, env, stop_reason=command.stop_reason, run_ns=run_ns)]


def _fail(run: Run, command: c.FailRun, env: Envelope, _priors: Priors) -> list[Event]:
    _ends_as(run.run_id, command.stop_reason, RunStatus.FAILED)
    if run.status is RunStatus.FAILED and (run.stop_reason, run.error_type, run.error_message) == (
        command.stop_reason,
        command.error_type,
        command.error_message,
    ):
        return []
    _allow(run, RunFailed)
    return [
        _make(
            RunFailed,
            run,
            env,
            stop_reason=command.stop_reason,
            error_type=command.error_type,
            error_message=command.error_message,
            error_data=None if command.error_data is None else dict(command.error_data),
            run_ns=_duration(run, env, command),
        )
    ]


def _deny(run: Run, env: Envelope, reason: str) -> list[Event]:
    if not run.open_calls:
        return []
    calls = [CallFacts(tool_call_id=id, name=call.name) for id, call in run.open_calls.items()]
    bodies = denials.messages(run, reason, env)
    return [
        _make(ToolCallsDenied, run, env, tool_calls=calls, reason=reason),
        _make(
            MessagesRecorded,
            run,
            env,
            messages=unique_calls(run, [describe_message(m) for m in bodies]),
            bodies=bodies,
            late=True,
        ),
    ]


def _cancel(run: Run, command: c.CancelRun, env: Envelope, _priors: Priors) -> list[Event]:
    if run.deleted:
        _allow(run, RunCancelled)
    if run.ended and run.state not in TRANSITIONS[RunCancelled].allowed:
        if command.strict and run.status is not RunStatus.CANCELLED:
            _allow(run, RunCancelled)
        return []
    run_ns = None if run.ended else _duration(run, env, command)
    cancelled = _make(RunCancelled, run, env, reason=command.reason, run_ns=run_ns)
    return [cancelled, *_deny(run, env, _CANCELLED)]


def _expire(run: Run, command: c.ExpireRun, env: Envelope, _priors: Priors) -> list[Event]:
    heard = run.last_recorded_at
    if run.ended or run.deleted or (heard is not None and heard >= command.silent_since):
        return []
    silent = f"nothing was heard of the run since {heard.isoformat() if heard else 'its creation'}"
    failed = c.FailRun("error", error_type="lost", error_message=silent)
    return [*_fail(run, failed, env, {}), *_deny(run, env, _TOO_LATE)]


def _expire_approvals(
    run: Run, _command: c.ExpireApprovals, env: Envelope, _priors: Priors
) -> list[Event]:
    due = run.approval_deadline
    if due is None or env.occurred_at < due or run.deleted:
        return []
    _allow(run, ToolCallsDenied)
    return _deny(run, env, _TOO_LATE)


def _delete(run: Run, _command: c.DeleteRun, env: Envelope, _priors: Priors) -> list[Event]:
    return [] if run.deleted else [_make(RunDeleted, run, env)]


def _request_callback(
    run: Run, _command: c.RequestCallback, env: Envelope, _priors: Priors
) -> list[Event]:
    _allow(run, CallbackRequested)
    if run.delivery is None:
        raise InvalidArgument(f"run {run.run_id!r}: expected a callback_url, found none")
    return [_make(CallbackRequested, run, env, webhook_id=run.delivery.webhook_id)]


def _callback(
    run: Run, command: c.RecordCallbackAttempt, env: Envelope, _priors: Priors
) -> list[Event]:
    _allow(run, CallbackAttempted)
    return [_make(CallbackAttempted, run, env, **command.facts)]


_DECISIONS: Final[dict[type, Callable[[Run, Any, Envelope, Priors], list[Event]]]] = {
    c.StartRun: _start,
    c.StartStep: _start_step,
    c.RecordStep: _record_step,
    c.RecordMessages: _record_messages,
    c.PatchMetadata: _patch,
    c.RecordHeartbeat: _heartbeat,
    c.CompleteRun: _complete,
    c.FailRun: _fail,
    c.CancelRun: _cancel,
    c.ExpireRun: _expire,
    c.ExpireApprovals: _expire_approvals,
    c.DeleteRun: _delete,
    c.RequestCallback: _request_callback,
    c.RecordCallbackAttempt: _callback,
}


def decide(
    run: Run | None, command: c.Command, envelope: Envelope, priors: Priors | None = None
) -> list[Event]:
    """Return the events that follow from `command`; none where it repeats what is recorded.

    `run` is None for a stream without events. Raises a Conflict or InvalidArgument that names what
    was found and what is allowed.
    """
    if isinstance(command, c.CreateRun):
        return _create(run, command, envelope, priors or {})
    if run is None:
        raise AssertionError(f"{type(command).__name__} needs a run; found {NONE}")
    return _DECISIONS[type(command)](run, command, envelope, priors or {})
