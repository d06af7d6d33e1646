"""The pending delivery of a run's callback, folded from ends, requests and attempts."""

from dataclasses import dataclass
from datetime import datetime

from runledger.events import CallbackAttempted


@dataclass(slots=True)
class Delivery:
    """The delivery of a run's last end; a later end replaces the delivery of an earlier one.

    `webhook_id` is the same for all attempts, including repeated ones. `asked` is the version of
    the event that last requested the delivery, the end or a request. `tries` counts the attempts
    since then; the retry schedule depends on it.
    """

    webhook_id: str
    asked: int
    attempts: int = 0
    tries: int = 0
    redelivery: bool = False
    delivered: bool = False
    settled: bool = False
    next_attempt_at: datetime | None = None

    @property
    def status(self) -> str:
        """The status of the delivery: pending, delivered or failed."""
        if self.delivered:
            return "delivered"
        return "failed" if self.settled else "pending"

    def attempted(self, event: CallbackAttempted) -> None:
        """Fold an attempt; an attempt for an earlier end does not change this delivery."""
        if event.webhook_id != self.webhook_id:
            return
        self.attempts = max(self.attempts, event.attempt)
        self.tries += 1
        self.delivered = self.delivered or event.delivered
        self.settled = self.settled or event.delivered or event.final
        self.next_attempt_at = event.next_attempt_at

    def requested(self, version: int) -> None:
        """Fold a request: the retry schedule starts again, with an immediate attempt."""
        self.asked, self.tries = version, 0
        self.redelivery = True
        self.delivered = self.settled = False
        self.next_attempt_at = None


def webhook_id(run_id: str, version: int) -> str:
    """Return the id of the callback for the end at `version`; it has no dot, as the specification
    requires."""
    return f"{run_id}-{version}"
