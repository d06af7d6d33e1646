"""The outbox is the log: pending callbacks, derived from its ends, requests and attempts.

Only pending deliveries are kept in memory. The checkpoint is before the first event that is still
needed, so that a restarted dispatcher reads only from there. It may be too early, but never too
late.
"""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from runledger.errors import LogDiverged, UndecodableEvent
from runledger.events import (
    CallbackAttempted,
    CallbackRequested,
    Event,
    RunCancelled,
    RunCompleted,
    RunCreated,
    RunDeleted,
    RunFailed,
)
from runledger.run.delivery import Delivery, webhook_id
from runledger.store import Store
from runledger.store.codec import decode
from runledger.store.log_mark import LogMark, mark_of, mark_until
from runledger.store.protocol import StoredRow

_LOG: Final = logging.getLogger("runledger.callbacks")
NAME: Final = "callbacks"
"""The name of the checkpoint and of the lease."""

_ENDS: Final = (RunCompleted, RunFailed, RunCancelled)
_TOPICS: Final = tuple(
    event.topic for event in (*_ENDS, CallbackRequested, CallbackAttempted, RunDeleted)
)
IMMEDIATELY: Final = datetime.min.replace(tzinfo=UTC)
"""Due at once. The time of the end is not used: its machine's clock may be ahead."""
_PAGE: Final = 1_000
_STRETCH: Final = 50_000
"""Positions that are scanned at a time, because others wait for the store's reading connection."""
_PORTS: Final = {"https": 443, "http": 80}


@dataclass(slots=True, eq=False)
class Pending:
    """A pending delivery; `position` and `asked` locate the event that requested it.

    `position` is its position in the log, `asked` its version in the run's stream.
    """

    run_id: str
    organization: str
    receiver: str
    webhook_id: str = ""
    position: int = 0
    asked: int = 0
    due: datetime = IMMEDIATELY
    attempts: int = 0
    faults: int = 0
    """How often in a row not even an attempt could be recorded."""
    busy: bool = False
    settled: bool = False

    def take_over(self, owed: Delivery) -> None:
        """Update from the run's stream."""
        self.webhook_id, self.attempts = owed.webhook_id, owed.attempts
        self.due = owed.next_attempt_at or IMMEDIATELY

    def waits(self, due: datetime) -> bool:
        """Whether it is scheduled for exactly this time."""
        return not self.settled and not self.busy and due == self.due


class Sign(NamedTuple):
    """An event of the log that concerns callbacks."""

    position: int
    run_id: str
    version: int
    webhook_id: str
    event: Event
    url: str | None


class Page(NamedTuple):
    """The events that were read, the last scanned position, and the mark of the event there."""

    signs: list[Sign]
    position: int
    mark: LogMark | None


class Outbox:
    """Follows the log of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._saved = self.position = store.checkpoint(NAME)
        self._mark = mark_until(store, self.position)
        self._unread: int | None = None
        # Ordered by position: a repeated request moves to the end.
        self.pending: dict[str, Pending] = {}

    def read(self) -> Page:
        """Read the next page; blocks, and changes nothing.

        Raises:
            LogDiverged: if the log is not the one that was read so far.
        """
        # The head is read first: later events will be in the next page.
        head = self._store.head()
        if head <= self.position:
            self._expect_same_log()
            return Page([], self.position, self._mark)
        upto = min(head, self.position + _STRETCH)
        # Read before the page, and looked for after it: the page is of one log.
        mark = mark_until(self._store, upto)
        rows = self._store.read_log(self.position, _PAGE, _TOPICS, upto=upto)
        signs = [sign for sign in map(self._sign, rows) if sign is not None]
        # Checked last: a log that was reset before the page was read shows it now.
        self._expect_same_log()
        if len(rows) == _PAGE:
            return Page(signs, rows[-1].position, mark_of(rows[-1]))
        self._expect(mark)
        return Page(signs, upto, mark)

    def _expect_same_log(self) -> None:
        self._expect(self._mark)

    def _expect(self, mark: LogMark | None) -> None:
        if mark is not None and not mark.is_at(self._store):
            raise self._diverged(mark.position)

    def _diverged(self, position: int) -> LogDiverged:
        return LogDiverged.found(
            f"callbacks, at position {position:,}",
            min(self._saved, self._store.checkpoint(NAME)),
            "the dispatcher begins again from the position that the store has saved; receivers "
            "may hear of events that the log has lost, and again of what was sent since",
        )

    def _sign(self, row: StoredRow) -> Sign | None:
        try:
            event = decode(row.stream, row.version, row.topic, row.facts, None)
            if isinstance(event, CallbackAttempted):
                return Sign(row.position, row.stream, row.version, event.webhook_id, event, None)
            if isinstance(event, RunDeleted):
                return Sign(row.position, row.stream, row.version, "", event, None)
            url = self._url(row.stream)
        except UndecodableEvent as e:
            self._stumbled(row.position, e)
            return None
        if url is None:
            return None
        owed = webhook_id(row.stream, row.version)
        if isinstance(event, CallbackRequested):
            owed = event.webhook_id
        return Sign(row.position, row.stream, row.version, owed, event, url)

    def _stumbled(self, position: int, error: UndecodableEvent) -> None:
        # The other deliveries continue. The checkpoint stays: a newer version may decode this
        # event.
        if self._unread is None:
            self._unread = position
            _LOG.error("callbacks: position %d cannot be read: %s", position, error)

    def _url(self, run_id: str) -> str | None:
        (first,) = self._store.read_stream(run_id, 0, 1, contents=False)
        return first.event.callback_url if isinstance(first.event, RunCreated) else None

    def fold(self, page: Page) -> list[Pending]:
        """Apply a page; return the deliveries that it schedules or reschedules."""
        changed = {}
        for sign in page.signs:
            pending = self._fold(sign)
            if pending is not None:
                changed[sign.run_id] = pending
        self.position, self._mark = page.position, page.mark
        return [pending for pending in changed.values() if not pending.settled]

    def _fold(self, sign: Sign) -> Pending | None:
        event = sign.event
        if isinstance(event, RunDeleted):
            self.settle(sign.run_id)
            return None
        if isinstance(event, CallbackAttempted):
            return self._attempted(sign.run_id, event)
        # The object is updated in place: a running attempt continues, and then sees the new state.
        pending = self.pending.pop(sign.run_id, None)
        if pending is None:
            pending = Pending(sign.run_id, event.organization, receiver_of(sign.url or ""))
        if pending.webhook_id != sign.webhook_id:
            pending.webhook_id, pending.attempts = sign.webhook_id, 0
        pending.position, pending.asked = sign.position, sign.version
        pending.due = IMMEDIATELY
        self.pending[sign.run_id] = pending
        return pending

    def _attempted(self, run_id: str, event: CallbackAttempted) -> Pending | None:
        pending = self.pending.get(run_id)
        if pending is None or pending.webhook_id != event.webhook_id:
            return None
        # This dispatcher's own attempt is read from the log when a later one may be finished.
        if event.attempt <= pending.attempts:
            return None
        pending.attempts = event.attempt
        if event.delivered or event.final:
            self.settle(run_id)
            return None
        pending.due = event.next_attempt_at or IMMEDIATELY
        return pending

    def attempted(self, pending: Pending, owed: Delivery | None) -> None:
        """Apply the state after an attempt of this dispatcher; None if the delivery is not
        pending."""
        # The log may have changed it meanwhile: finished, or requested again and due at once.
        if pending.settled or (owed is not None and owed.asked < pending.asked):
            return
        if owed is None or owed.settled:
            self.settle(pending.run_id)
        else:
            pending.take_over(owed)

    def settle(self, run_id: str) -> None:
        """Remove a run: its delivery is not pending any more."""
        pending = self.pending.pop(run_id, None)
        if pending is not None:
            pending.settled = True

    @property
    def checkpoint(self) -> int:
        """The position up to which no event is needed any more."""
        first = next(iter(self.pending.values()), None)
        safe = self.position if first is None else first.position - 1
        return safe if self._unread is None else min(safe, self._unread - 1)

    def save(self, checkpoint: int) -> None:
        """Save the checkpoint; blocks. LogDiverged if the log is another one."""
        if checkpoint != self._saved:
            if not self._store.save_checkpoint(NAME, checkpoint, self._mark):
                raise self._diverged(checkpoint)
            self._saved = checkpoint


def receiver_of(url: str) -> str:
    """Return the host and port of a URL, by which queue and circuit breaker are shared."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme, 0)
        host = parts.hostname or url[:200]
    except ValueError:
        return url[:200]
    return f"{host.rstrip('.')[:253]}:{port}"
