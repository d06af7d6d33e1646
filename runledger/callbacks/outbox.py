"""The outbox is the log: which callbacks are outstanding, by its ends, requests and attempts.

Only what is outstanding is kept in memory. The checkpoint lies before the first event that still
matters, so that a dispatcher that starts anew reads only from there; it may lag, never lead.
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
from runledger.store.log_mark import LogMark, mark_at
from runledger.store.protocol import StoredRow

_LOG: Final = logging.getLogger("runledger.callbacks")
NAME: Final = "callbacks"
"""Of the checkpoint and of the lock."""

_ENDS: Final = (RunCompleted, RunFailed, RunCancelled)
_TOPICS: Final = tuple(
    event.topic for event in (*_ENDS, CallbackRequested, CallbackAttempted, RunDeleted)
)
IMMEDIATELY: Final = datetime.min.replace(tzinfo=UTC)
"""Not the time of the end: the clock of the machine that recorded it may be ahead."""
_PAGE: Final = 1_000
_STRETCH: Final = 50_000
"""Positions looked through at a time: others wait for the store's one reading connection."""
_PORTS: Final = {"https": 443, "http": 80}


@dataclass(slots=True, eq=False)
class Pending:
    """A delivery that is outstanding; `position` and `asked` say where the event that asked is.

    `position` is that in the log, `asked` the version in the run's stream.
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
    """How often in a row nothing came of it, not even an attempt on record."""
    busy: bool = False
    settled: bool = False

    def take_over(self, owed: Delivery) -> None:
        """Take over what the run's stream says."""
        self.webhook_id, self.attempts = owed.webhook_id, owed.attempts
        self.due = owed.next_attempt_at or IMMEDIATELY

    def waits(self, due: datetime) -> bool:
        """Whether it waits for this moment, and not for another one or for none."""
        return not self.settled and not self.busy and due == self.due


class Sign(NamedTuple):
    """An event of the log that says something of callbacks."""

    position: int
    run_id: str
    version: int
    webhook_id: str
    event: Event
    url: str | None


class Page(NamedTuple):
    """What was read, how far the log was looked at, and the mark of the event there."""

    signs: list[Sign]
    position: int
    mark: LogMark | None


class Outbox:
    """Follows the log of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._saved = self.position = store.checkpoint(NAME)
        self._mark = mark_at(store, self.position)
        self._unread: int | None = None
        # In the order of positions: what asks for a delivery again goes to the end.
        self.pending: dict[str, Pending] = {}

    def read(self) -> Page:
        """Read on from where the outbox is; blocks, and changes nothing.

        Raises LogDiverged where the log is not the one that was read so far any more.
        """
        # The head first: whatever is recorded after it will be read by the next page.
        head = self._store.head()
        if head <= self.position:
            self._expect_same_log()
            return Page([], self.position, self._mark)
        upto = min(head, self.position + _STRETCH)
        rows = self._store.read_log(self.position, _PAGE, _TOPICS, upto=upto)
        signs = [sign for sign in map(self._sign, rows) if sign is not None]
        reached = rows[-1].position if len(rows) == _PAGE else upto
        # The last position may be a gap: then the event before it is known still.
        mark = mark_at(self._store, reached) or self._mark
        # Last: a log that went back before the page was read has gone back by now.
        self._expect_same_log()
        return Page(signs, reached, mark)

    def _expect_same_log(self) -> None:
        if self._mark is not None and not self._mark.is_at(self._store):
            raise LogDiverged.found(
                f"callbacks, at position {self._mark.position:,}",
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
        # The others go on. The checkpoint does not: a newer version may know what this event says.
        if self._unread is None:
            self._unread = position
            _LOG.error("callbacks: position %d cannot be read: %s", position, error)

    def _url(self, run_id: str) -> str | None:
        (first,) = self._store.read_stream(run_id, 0, 1, contents=False)
        return first.event.callback_url if isinstance(first.event, RunCreated) else None

    def fold(self, page: Page) -> list[Pending]:
        """Take in a page; return the deliveries that it makes due, or due at another time."""
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
        # The same object: an attempt that is in flight goes on, and then sees what is owed.
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
        # One that this dispatcher made comes back from the log when a later one may be done.
        if event.attempt <= pending.attempts:
            return None
        pending.attempts = event.attempt
        if event.delivered or event.final:
            self.settle(run_id)
            return None
        pending.due = event.next_attempt_at or IMMEDIATELY
        return pending

    def attempted(self, pending: Pending, owed: Delivery | None) -> None:
        """Take in what is owed after an attempt of this dispatcher; None where nobody waits."""
        # The log may have told more meanwhile: settled, or asked for again and due at once.
        if pending.settled or (owed is not None and owed.asked < pending.asked):
            return
        if owed is None or owed.settled:
            self.settle(pending.run_id)
        else:
            pending.take_over(owed)

    def settle(self, run_id: str) -> None:
        """Forget a run: nothing is owed any more."""
        pending = self.pending.pop(run_id, None)
        if pending is not None:
            pending.settled = True

    @property
    def checkpoint(self) -> int:
        """The position up to which nothing matters any more."""
        first = next(iter(self.pending.values()), None)
        safe = self.position if first is None else first.position - 1
        return safe if self._unread is None else min(safe, self._unread - 1)

    def save(self, checkpoint: int) -> None:
        """Keep the checkpoint; blocks. Raises LogDiverged: it is no position of another log."""
        if checkpoint != self._saved:
            self._expect_same_log()
            self._store.save_checkpoint(NAME, checkpoint)
            self._saved = checkpoint


def receiver_of(url: str) -> str:
    """Return the host and port that a URL names: what shares one queue and one breaker."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme, 0)
        host = parts.hostname or url[:200]
    except ValueError:
        return url[:200]
    return f"{host.rstrip('.')[:253]}:{port}"
