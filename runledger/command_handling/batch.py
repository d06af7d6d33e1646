"""A batch of commands on one run, and its outcome."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from runledger.events import Event
from runledger.run import Actor, Run
from runledger.run.commands import Command
from runledger.run.receipts import Receipt


class CommandBatch(NamedTuple):
    """Commands on one run, executed in one append, all or none.

    `times` gives each command its own time (imports); without it all happened `at`. Nothing is
    recorded if the run has another version than the expected one, or has the receipt already.
    """

    actor: Actor
    run_id: str
    commands: Sequence[Command]
    at: datetime | None = None
    times: Sequence[datetime] = ()
    correlation_id: str | None = None
    expected_version: int | None = None
    receipt: Receipt | None = None

    @property
    def correlation(self) -> str | None:
        """The correlation id that the events store of the request."""
        return self.correlation_id if self.receipt is None else self.receipt.correlation_id


class Outcome(NamedTuple):
    """The run after the commands, their events, and the last position of the append.

    `repeated` says that the request was recorded before, by its receipt.
    """

    run: Run
    events: tuple[Event, ...]
    position: int | None
    repeated: bool = False
