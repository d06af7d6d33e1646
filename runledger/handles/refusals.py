"""What the ledger refused of an agent loop's bookkeeping, and what is recorded in its place."""

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal, get_args

from runledger.errors import InvalidArgument, LedgerError
from runledger.events import StepRecorded
from runledger.run import Actor, Envelope
from runledger.run.envelope import optional_in_utc
from runledger.run.rules import stamped
from runledger.run.step_facts import expect_known, step_facts
from runledger.storable import storable
from runledger.store.codec import encode

OnError = Literal["raise", "log"]
NOT_RECORDED: Final = "not_recorded"
"""The key that tells what was refused and why, in a step's error_data or a run's metadata."""
REDUCED: Final = "reduced"
"""The tag of a step that was not recorded as it was told."""
_LOG: Final = logging.getLogger("runledger.refusals")
_LONGEST: Final = 500
_BESIDE: Final = ("provider", "approval_deadline", "at")


class Refusals:
    """The errors of a run's bookkeeping, kept until the outcome of the work is recorded.

    Parameters:
        on_error: "raise" raises the first one then, with notes about the others; "log" logs each
            one at once and raises none.
    """

    def __init__(self, on_error: OnError) -> None:
        if on_error not in get_args(OnError):
            raise InvalidArgument(f"on_error: expected 'raise' or 'log', found {on_error!r:.80}")
        self.logs = on_error == "log"
        self._kept: list[tuple[str, LedgerError]] = []

    def keep(self, what: str, error: LedgerError) -> str:
        """Keep an error for the end, or log it; return its text as it can be recorded."""
        if self.logs:
            _LOG.warning("%s: %s", what, error)
        else:
            self._kept.append((what, error))
        return str(error)[:_LONGEST]

    def note(self, exc: BaseException) -> None:
        """Add what was refused to the exception of the work, which is raised itself."""
        for what, error in self._kept:
            exc.add_note(f"{what} was not recorded as it was told: {error}")

    def settle(self) -> None:
        """Raise the first error that was kept, with notes about the others."""
        if not self._kept:
            return
        _, first = self._kept[0]
        for what, error in self._kept[1:]:
            first.add_note(f"{what}: {error}")
        raise first


def marked(facts: Mapping[str, Any], refused: Mapping[str, str]) -> dict[str, Any]:
    """Return the facts of a step with one that says what was refused of them."""
    if not refused:
        return dict(facts)
    data = {**(facts.get("error_data") or {}), NOT_RECORDED: dict(refused)}
    return {**facts, "error_data": data, "tags": [*(facts.get("tags") or ()), REDUCED]}


def recordable(facts: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the facts of a step that can be recorded together, and why the others cannot."""
    kept: dict[str, Any] = {}
    refused: dict[str, str] = {}
    for name, value in facts.items():
        try:
            _expect_recordable({**kept, name: value})
        except LedgerError as e:
            refused[name] = str(e)[:_LONGEST]
        else:
            kept[name] = value
    return kept, refused


def _expect_recordable(facts: Mapping[str, Any]) -> None:
    given = {name: value for name, value in facts.items() if name not in _BESIDE}
    expect_known("step", given)
    if facts.get("provider") is not None:
        given.setdefault("provider_name", facts["provider"])
    for name in ("approval_deadline", "at"):
        optional_in_utc(name, facts.get(name))
    now = datetime.now(UTC)
    envelope = Envelope(Actor(), now, now)
    step = stamped(
        StepRecorded, envelope, agent_id="agent-a", born=0, step_id="step", **step_facts(given)
    )
    encode(storable(step))
