"""The rules of every decision: the transition table, and which content counts as repeated."""

from collections.abc import Mapping
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from runledger import errors
from runledger.errors import AlreadyEnded, IllegalTransition, InvalidArgument
from runledger.events import Event, RunEvent
from runledger.run.envelope import Envelope
from runledger.run.state import Run
from runledger.run.transitions import TRANSITIONS

_E = TypeVar("_E", bound=Event)
Priors = Mapping[str, Event]
"""Natural key (run, step or message id) → the event that recorded it, for repeated keys."""

_ENVELOPE: Final = {
    "event_id",
    "occurred_at",
    "recorded_at",
    "user",
    "correlation_id",
    "born",
    "late",
}


def stamped(cls: type[_E], envelope: Envelope, **fields: Any) -> _E:
    """Return a stamped event; raise InvalidArgument that names every wrong field."""
    try:
        return cls(**envelope.stamp(), **fields)
    except ValidationError as e:
        raise InvalidArgument(f"{cls.topic}: {errors.describe(e)}") from e


def make(cls: type[RunEvent], run: Run, envelope: Envelope, **fields: Any) -> Event:
    """Return a stamped event of the run; raise InvalidArgument that names every wrong field."""
    return stamped(
        cls,
        envelope,
        agent_id=run.agent_id,
        project_id=run.project_id,
        born=run.born,
        **fields,
    )


def allow(run: Run, event: type[Event]) -> bool:
    """Check the transition table; return whether the event is late, raise if it is not allowed."""
    rule = TRANSITIONS[event]
    found = run.state
    if found in rule.allowed:
        return False
    if rule.late and run.ended and not run.deleted:
        return True
    if run.ended and not run.deleted:
        raise AlreadyEnded(run.run_id, event.topic, found, rule.allowed, run.stop_reason)
    raise IllegalTransition(run.run_id, event.topic, found, rule.allowed)


def same(prior: Event, again: Event, envelope: Envelope) -> bool:
    """Whether the caller repeats recorded content; times are compared only if the caller gave
    them."""
    if envelope.explicit_time and prior.occurred_at != again.occurred_at:
        return False
    unsaid = _ENVELOPE | prior.derived
    return prior.model_dump(exclude=unsaid) == again.model_dump(exclude=unsaid)
