"""Decisions that end a run, or deny the tool calls it waits for. The first end wins."""

from datetime import timedelta
from typing import Final

from runledger.errors import InvalidArgument
from runledger.events import (
    Event,
    MessagesRecorded,
    RunCancelled,
    RunCompleted,
    RunFailed,
    ToolCallsDenied,
)
from runledger.messages import CallFacts, whole_number
from runledger.run import commands as c
from runledger.run import denials
from runledger.run.call_ids import unique_calls
from runledger.run.envelope import Envelope
from runledger.run.rules import Priors, allow, make
from runledger.run.state import Run
from runledger.run.transitions import STATUS_OF, TRANSITIONS, RunStatus

_CANCELLED: Final = "The user cancelled the request, so the tool call was denied."
_TOO_LATE: Final = "The approval did not arrive in time, so the tool call was denied."


def _duration(
    run: Run, env: Envelope, command: c.CompleteRun | c.FailRun | c.CancelRun
) -> int | None:
    """Return the duration in ns: the caller's monotonic one, otherwise the difference of the
    clocks.

    If the clocks of two machines disagree so that the run ended before it began, it is unknown.
    """
    if command.run_ns is not None or not command.measured:
        told: int | None = whole_number(command.run_ns)
        return told
    elapsed = (env.occurred_at - run.created_at) // timedelta(microseconds=1) * 1000
    return elapsed if elapsed >= 0 else None


def _ends_as(run_id: str, stop_reason: str, *statuses: RunStatus) -> None:
    status = STATUS_OF.get(stop_reason) if isinstance(stop_reason, str) else None
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


def complete(run: Run, command: c.CompleteRun, env: Envelope, _priors: Priors) -> list[Event]:
    """Complete the run; no event if it is completed already."""
    stop_reason = "end_turn" if command.stop_reason is None else command.stop_reason
    _ends_as(run.run_id, stop_reason, RunStatus.COMPLETED)
    if run.status is RunStatus.COMPLETED and command.stop_reason in (None, run.stop_reason):
        return []
    allow(run, RunCompleted)
    run_ns = _duration(run, env, command)
    return [make(RunCompleted, run, env, stop_reason=stop_reason, run_ns=run_ns)]


def fail(run: Run, command: c.FailRun, env: Envelope, _priors: Priors) -> list[Event]:
    """Fail the run; no event if it has failed already."""
    stop_reason = "error" if command.stop_reason is None else command.stop_reason
    _ends_as(run.run_id, stop_reason, RunStatus.FAILED)
    if run.status is RunStatus.FAILED and _says_no_more(run, command):
        return []
    allow(run, RunFailed)
    return [
        make(
            RunFailed,
            run,
            env,
            stop_reason=stop_reason,
            error_type=command.error_type,
            error_message=command.error_message,
            error_data=command.error_data,
            run_ns=_duration(run, env, command),
        )
    ]


def _says_no_more(run: Run, command: c.FailRun) -> bool:
    told = (command.stop_reason, command.error_type, command.error_message)
    known = (run.stop_reason, run.error_type, run.error_message)
    return all(said in (None, there) for said, there in zip(told, known, strict=True))


def _deny(run: Run, env: Envelope, reason: str) -> list[Event]:
    if not run.open_calls:
        return []
    calls = [CallFacts(tool_call_id=id, name=call.name) for id, call in run.open_calls.items()]
    bodies = denials.messages(run, reason, env)
    return [
        make(ToolCallsDenied, run, env, tool_calls=calls, reason=reason),
        make(
            MessagesRecorded,
            run,
            env,
            messages=unique_calls(run, bodies),
            bodies=bodies,
            late=True,
        ),
    ]


def cancel(run: Run, command: c.CancelRun, env: Envelope, _priors: Priors) -> list[Event]:
    """Cancel the run and deny its open calls; no event if it has ended."""
    if run.deleted:
        allow(run, RunCancelled)
    if run.ended and run.state not in TRANSITIONS[RunCancelled].allowed:
        if command.strict and run.status is not RunStatus.CANCELLED:
            allow(run, RunCancelled)
        return []
    run_ns = None if run.ended else _duration(run, env, command)
    cancelled = make(RunCancelled, run, env, reason=command.reason, run_ns=run_ns)
    return [cancelled, *_deny(run, env, _CANCELLED)]


def expire(run: Run, command: c.ExpireRun, env: Envelope, _priors: Priors) -> list[Event]:
    """Fail a run as lost that had no event for too long."""
    heard = run.last_recorded_at
    if run.ended or run.deleted or (heard is not None and heard >= command.silent_since):
        return []
    silent = f"nothing was heard of the run since {heard.isoformat() if heard else 'its creation'}"
    failed = c.FailRun("error", error_type="lost", error_message=silent)
    return [*fail(run, failed, env, {}), *_deny(run, env, _TOO_LATE)]


def expire_approvals(
    run: Run, _command: c.ExpireApprovals, env: Envelope, _priors: Priors
) -> list[Event]:
    """Deny the open calls of a run whose approval is overdue."""
    due = run.approval_deadline
    if due is None or env.occurred_at < due or run.deleted:
        return []
    allow(run, ToolCallsDenied)
    return _deny(run, env, _TOO_LATE)
