"""The pure mapping of a tau2-bench simulation to a run.

tau2 writes times without a zone; they are read as UTC. A message with usage is a step of the model
that produced it: the agent's for the assistant, the simulator's for the user. tau2 calls models
through litellm, whose counts have OpenAI's shape whatever the model, so that is the provider.
"""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final, NamedTuple

from runledger.errors import InvalidArgument
from runledger.ids import DEFAULT_ORGANIZATION, derived_id, is_id
from runledger.importers.foreign import Foreign
from runledger.importers.recorder import DIGEST, Timed
from runledger.importers.tau2.message import flattened, ledger_message
from runledger.importers.tau2.result_file import Experiment
from runledger.run import commands as c
from runledger.usage import usage_facts

STOP_REASONS: Final = {
    "user_stop": "end_turn",
    "agent_stop": "end_turn",
    "max_steps": "max_steps",
    "too_many_errors": "error",
    "timeout": "error",
    "context_window_exceeded": "error",
}
"""Termination reason → stop reason; every other reason that ends in `_error` is an error too."""

_PROVIDER: Final = "litellm"
_COUNTS: Final = ("prompt_tokens", "completion_tokens", "total_tokens")
_DETAILS: Final = ("prompt_tokens_details", "completion_tokens_details")
_NOT_METADATA: Final = {"id", "start_time", "end_time", "duration", "timestamp", "messages"}
_BESIDE_MESSAGES: Final = ("ticks", "agent_usage", "user_usage", "usage")


class Identity(NamedTuple):
    """The id of a simulation's run, the digest of its imported content, and an earlier id.

    The earlier id is the one of versions whose ids did not contain the organization.
    """

    run_id: str
    digest: str
    earlier_id: str | None = None


def identity(given: dict[str, Any], about: Experiment, organization: str) -> Identity:
    """Return the identity of the simulation, including a digest of its content.

    The run id is `run-<id>` if the simulation's id is a UUID of version 4, else derived. Any
    organization but the default one has derived ids of its own, so that two may import one file.
    """
    # The name of the file is left out: the same simulation from a renamed file is the same run.
    facts = json.dumps([given, about._replace(file="")], sort_keys=True)
    digest = sha256(facts.encode()).hexdigest()
    run_id = f"run-{str(given.get('id')).lower()}"
    if not is_id("run", run_id):
        keys = ("id", "task_id", "trial", "seed", "start_time")
        run_id = derived_id("run", "tau2", *(str(given.get(key)) for key in keys))
    if organization == DEFAULT_ORGANIZATION:
        return Identity(run_id, digest)
    return Identity(derived_id("run", "tau2", organization, run_id), digest, run_id)


def timed_commands(given: dict[str, Any], about: Experiment, known: Identity) -> Iterator[Timed]:
    """Yield the simulation's commands with their times.

    Raises:
        InvalidArgument: if the content is wrong; the message names the place.
    """
    source = Foreign(given)
    if given.get("ticks") and not given.get("messages"):
        raise source.fault("messages", "messages beside the ticks of a full-duplex simulation")
    start, end, run_ns = _extent(source)
    yield start, c.CreateRun(about.agent_id, metadata=_metadata(source, about, known.digest))
    yield start, c.StartRun()
    moment = start
    callers: dict[str, str | None] = {}
    for number, message in enumerate(flattened(source.objects("messages"))):
        # A message without a time happened no earlier than the one before it.
        moment = message.time("timestamp") or moment
        yield moment, _message(message, known.run_id, number, about, callers)
    yield end, _end(source, run_ns)


def _extent(source: Foreign) -> tuple[datetime, datetime, int | None]:
    """Return when the run began and ended, and its duration in ns: the file's, not a difference.

    If the file has none, and the end is before the beginning, it is None.
    """
    run_ns = source.seconds_as_ns("duration")
    start, end = source.time("start_time"), source.time("end_time")
    if start is None:
        start = next(_times(source), None)
    if start is None:
        raise source.fault("start_time", "a time, or a message that has one")
    if end is None and run_ns is not None:
        end = start + timedelta(microseconds=run_ns / 1000)
    if end is None:
        end = max(_times(source), default=None)
    if end is None:
        raise source.fault("end_time", "a time, a duration, or a message that has a time")
    if run_ns is None:
        elapsed = (end - start) // timedelta(microseconds=1) * 1000
        run_ns = elapsed if elapsed >= 0 else None
    return start, end, run_ns


def _times(source: Foreign) -> Iterator[datetime]:
    times = (message.time("timestamp") for message in flattened(source.objects("messages")))
    return (time for time in times if time is not None)


def _metadata(source: Foreign, about: Experiment, digest: str) -> dict[str, Any]:
    """Return the simulation's scalar values (task_id, trial, costs, …) and its source."""
    plain: dict[str, Any] = {
        key: value
        for key, value in source.fields.items()
        if key not in _NOT_METADATA and isinstance(value, str | int | float)
    }
    for key in _BESIDE_MESSAGES:
        # It is in no message, so it is stored unchanged; of the ticks only the number is stored.
        if found := source.fields.get(key):
            plain[key] = len(found) if key == "ticks" and isinstance(found, list) else found
    reward = source.object("reward_info")
    if reward is not None:
        plain["reward"] = reward.fields.get("reward")
        plain["reward_breakdown"] = reward.fields.get("reward_breakdown")
    facts = about._asdict()
    facts["source_file"] = facts.pop("file")
    return {"source": "tau2", **facts, **plain, DIGEST: digest}


def _counts(usage: Foreign) -> dict[str, Any]:
    """Return the counts, by the names of any provider."""
    known = {key: usage.count(key) for key in _COUNTS if key in usage.fields}
    details = {key: found.fields for key in _DETAILS if (found := usage.object(key))}
    try:
        return {**usage_facts({**usage.fields, **known}), **details}
    except InvalidArgument as e:
        raise InvalidArgument(f"{usage.place}: {e}") from e


def _message(
    source: Foreign, run_id: str, number: int, about: Experiment, callers: dict[str, str | None]
) -> c.RecordStep | c.RecordMessages:
    message_id = derived_id("message", run_id, str(number))
    usage = source.object("usage")
    if usage is None or not usage.fields:
        return c.RecordMessages([ledger_message(source, message_id, None, None, callers)])
    by_user = source.fields.get("role") == "user"
    model = about.user_model if by_user else about.agent_model
    step_id = derived_id("step", run_id, str(number))
    facts = {
        "provider_name": _PROVIDER,
        "model": model,
        **_counts(usage),
        "input_includes_cache": True,
        "output_includes_reasoning": True,
        "step_ns": source.seconds_as_ns("generation_time_seconds"),
        "tags": ["user_simulator" if by_user else "agent"],
    }
    return c.RecordStep(
        step_id, facts, [ledger_message(source, message_id, step_id, model, callers)]
    )


def _end(source: Foreign, run_ns: int | None) -> c.CompleteRun | c.FailRun:
    given = source.text("termination_reason") or ""
    # An enumeration that is written by its name has the same meaning.
    reason = given.rpartition(".")[2].lower()
    stop_reason = STOP_REASONS.get(reason, "error" if reason.endswith("_error") else None)
    if stop_reason is None:
        raise source.fault("termination_reason", f"{', '.join(STOP_REASONS)} or …_error")
    if stop_reason == "error":
        return c.FailRun("error", error_type=reason, run_ns=run_ns, measured=False)
    return c.CompleteRun(stop_reason, run_ns, measured=False)
