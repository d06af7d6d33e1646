"""Facts that the ledger refused to record, and the reduced facts that are recorded instead."""

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
"""The key of the refused facts and reasons in a step's error_data or a run's metadata."""
REDUCED: Final = "reduced"
"""The tag of a step that was recorded without some of its facts."""
_LOG: Final = logging.getLogger("runledger.refusals")
_LONGEST: Final = 500
_BESIDE: Final = ("provider", "approval_deadline", "at")


class Refusals:
    """The errors of recording a run, collected until the outcome of the work is recorded.

    Parameters:
        on_error: "raise" raises the first error then, with notes about the others; "log" logs each
            error at once and raises none.
    """

    def __init__(self, on_error: OnError) -> None:
        if on_error not in get_args(OnError):
            raise InvalidArgument(f"on_error: expected 'raise' or 'log', found {on_error!r:.80}")
        self.logs = on_error == "log"
        self._kept: list[tuple[str, LedgerError]] = []

    def keep(self, what: str, error: LedgerError) -> str:
        """Collect an error, or log it; return its text in a form that can be recorded."""
        if self.logs:
            _LOG.warning("%s: %s", what, error)
        else:
            self._kept.append((what, error))
        return str(error)[:_LONGEST]

    def note(self, exc: BaseException) -> None:
        """Add notes about the errors to the exception of the work, which is raised."""
        for what, error in self._kept:
            exc.add_note(f"{what} was not recorded as it was told: {error}")

    def settle(self) -> None:
        """Raise the first collected error, with notes about the others."""
        if not self._kept:
            return
        _, first = self._kept[0]
        for what, error in self._kept[1:]:
            first.add_note(f"{what}: {error}")
        raise first


def marked(facts: Mapping[str, Any], refused: Mapping[str, str]) -> dict[str, Any]:
    """Return the facts of a step with an additional one about the refused facts."""
    if not refused:
        return dict(facts)
    data = {**(facts.get("error_data") or {}), NOT_RECORDED: dict(refused)}
    return {**facts, "error_data": data, "tags": [*(facts.get("tags") or ()), REDUCED]}


def recordable(facts: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the facts of a step that can be recorded, and the reasons why others cannot."""
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
