"""decide(run, command, envelope) → events: everything the ledger accepts or refuses about a run."""

from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from runledger.errors import ContentConflict, InvalidArgument
from runledger.events import (
    CallbackAttempted,
    CallbackRequested,
    Event,
    HeartbeatRecorded,
    RunCreated,
    RunDeleted,
    RunMetadataPatched,
    RunStarted,
)
from runledger.run import commands as c
from runledger.run import endings, judgements, recordings
from runledger.run.envelope import Envelope
from runledger.run.rules import Priors, allow, make, same, stamped
from runledger.run.state import Run
from runledger.run.transitions import NONE, RunStatus


def _create(run: Run | None, command: c.CreateRun, env: Envelope, priors: Priors) -> list[Event]:
    created = stamped(
        RunCreated,
        env,
        agent_id=command.agent_id,
        project_id=command.project_id,
        born=int((env.recorded_at - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1)),
        conversation_id=command.conversation_id,
        hold_conversation=command.hold_conversation,
        base_template_id=command.base_template_id,
        background=command.background,
        metadata=command.metadata,
        request_config=command.request_config,
        callback_url=command.callback_url,
    )
    if run is None:
        return [created]
    prior = priors.get(run.run_id)
    if run.deleted or not command.exist_ok or prior is None or not same(prior, created, env):
        raise ContentConflict("run", run.run_id)
    return []


def _start(run: Run, _command: c.StartRun, env: Envelope, _priors: Priors) -> list[Event]:
    if run.status is RunStatus.RUNNING and not run.deleted:
        return []
    allow(run, RunStarted)
    return [make(RunStarted, run, env)]


def _patch(run: Run, command: c.PatchMetadata, env: Envelope, _priors: Priors) -> list[Event]:
    allow(run, RunMetadataPatched)
    if not isinstance(command.patch, Mapping):
        raise InvalidArgument(f"metadata: expected a mapping, found {command.patch!r:.80}")
    if isinstance(command.remove, str) or not isinstance(command.remove, Collection):
        # A text is a sequence of texts in Python: each letter would be read as a key.
        raise InvalidArgument(f"remove: expected a list of keys, found {command.remove!r:.80}")
    unfit = [key for key in command.remove if not isinstance(key, str)]
    if unfit:
        raise InvalidArgument(f"remove: expected keys that are text, found {unfit!r:.80}")
    both = set(command.patch) & set(command.remove)
    if both:
        raise InvalidArgument(f"metadata keys {sorted(both)} are both set and removed")
    changed = {
        k: v for k, v in command.patch.items() if k not in run.metadata or run.metadata[k] != v
    }
    removed = [key for key in command.remove if key in run.metadata]
    if not changed and not removed:
        return []
    return [make(RunMetadataPatched, run, env, patch=changed, removed=removed)]


def _heartbeat(
    run: Run, _command: c.RecordHeartbeat, env: Envelope, _priors: Priors
) -> list[Event]:
    allow(run, HeartbeatRecorded)
    return [make(HeartbeatRecorded, run, env)]


def _delete(run: Run, _command: c.DeleteRun, env: Envelope, _priors: Priors) -> list[Event]:
    return [] if run.deleted else [make(RunDeleted, run, env)]


def _request_callback(
    run: Run, _command: c.RequestCallback, env: Envelope, _priors: Priors
) -> list[Event]:
    allow(run, CallbackRequested)
    if run.delivery is None:
        raise InvalidArgument(f"run {run.run_id!r}: expected a callback_url, found none")
    return [make(CallbackRequested, run, env, webhook_id=run.delivery.webhook_id)]


def _callback(
    run: Run, command: c.RecordCallbackAttempt, env: Envelope, _priors: Priors
) -> list[Event]:
    allow(run, CallbackAttempted)
    facts, owed = command.facts, run.delivery
    if (
        owed is not None
        and owed.webhook_id == facts["webhook_id"]
        and command.asked is not None
        and command.asked < owed.asked
        and not facts["delivered"]
    ):
        # The delivery was requested again during the attempt: its failure neither ends nor delays
        # the new one.
        facts = {**facts, "final": False, "next_attempt_at": None}
    return [make(CallbackAttempted, run, env, **facts)]


_DECISIONS: Final[dict[type, Callable[[Run, Any, Envelope, Priors], list[Event]]]] = {
    c.StartRun: _start,
    c.StartStep: recordings.start_step,
    c.RecordStep: recordings.record_step,
    c.RecordMessages: recordings.record_messages,
    c.PatchMetadata: _patch,
    c.RecordRunFeedback: judgements.judge_run,
    c.RecordStepFeedback: judgements.judge_step,
    c.RecordHeartbeat: _heartbeat,
    c.CompleteRun: endings.complete,
    c.FailRun: endings.fail,
    c.CancelRun: endings.cancel,
    c.ExpireRun: endings.expire,
    c.ExpireApprovals: endings.expire_approvals,
    c.DeleteRun: _delete,
    c.RequestCallback: _request_callback,
    c.RecordCallbackAttempt: _callback,
}


def decide(
    run: Run | None, command: c.Command, envelope: Envelope, priors: Priors | None = None
) -> list[Event]:
    """Return the events that `command` leads to; none if it repeats recorded content.

    `run` is None for a stream without events.

    Raises:
        Conflict: if the state of the run does not allow the command; the message says what is
            allowed.
        InvalidArgument: if a value of the command is wrong.
    """
    if isinstance(command, c.CreateRun):
        return _create(run, command, envelope, priors or {})
    if run is None:
        raise AssertionError(f"{type(command).__name__} needs a run; found {NONE}")
    return _DECISIONS[type(command)](run, command, envelope, priors or {})
