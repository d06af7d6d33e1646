"""Stores the spans of many requests in one commit, as the appender does with events.

There is no timer: while a commit is written to the disk, the next batch is collected.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Final, NamedTuple

from runledger.errors import LedgerError, StoreRefused, StoreUnavailable
from runledger.store.spans import SpanRow, SpanTable

MAX_SPANS: Final = 4_096
"""Spans per commit; a single larger request goes alone."""
MAX_WAITING: Final = 64 << 20
"""Bytes of spans that may wait to be written; more are refused temporarily."""


class _Request(NamedTuple):
    rows: Sequence[SpanRow]
    size: int
    answer: asyncio.Future[None]


class Inbox:
    """Groups requests into commits; a request is stored completely, or it fails."""

    def __init__(self, table: SpanTable) -> None:
        self._table = table
        self._submitted: SimpleQueue[_Request | None] = SimpleQueue()
        self._lock = Lock()
        self._waiting = 0
        self._closed = False
        self._thread = Thread(target=self._work, name="runledger-inbox", daemon=True)
        self._thread.start()

    async def keep(self, rows: Sequence[SpanRow]) -> None:
        """Store spans durably.

        The same spans may be sent again; the first version of each is kept.

        Raises:
            StoreUnavailable: if it is unknown whether the spans were stored, or if too many are
                waiting.
        """
        if not rows:
            return
        size = sum(len(row.span) for row in rows)
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        with self._lock:
            if self._closed:
                raise StoreUnavailable("the inbox is closed")
            if self._waiting and self._waiting + size > MAX_WAITING:
                raise StoreUnavailable(
                    f"inbox: expected {MAX_WAITING:,} bytes at most to wait for the disk, found "
                    f"{self._waiting:,}; send again"
                )
            self._waiting += size
            self._submitted.put(_Request(rows, size, answer))
        await answer

    def close(self) -> None:
        """Store the submitted spans, then stop."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._submitted.put(None)
        self._thread.join()

    def _work(self) -> None:
        ended = False
        while not ended:
            batch, spans = [], 0
            while request := self._submitted.get():
                batch.append(request)
                spans += len(request.rows)
                if spans >= MAX_SPANS or self._submitted.empty():
                    break
            ended = request is None
            if batch:
                outcomes = self._keep(batch)
                with self._lock:
                    self._waiting -= sum(one.size for one in batch)
                for one, outcome in zip(batch, outcomes, strict=True):
                    # A loop that was closed meanwhile has no waiting task.
                    with suppress(RuntimeError):
                        one.answer.get_loop().call_soon_threadsafe(_resolve, one.answer, outcome)

    def _keep(self, batch: Sequence[_Request]) -> Sequence[LedgerError | None]:
        try:
            self._table.put([row for one in batch for row in one.rows], time.time())
        except StoreRefused as e:
            # One request has a value that the database refuses; the other requests must not fail
            # because of it.
            return [e] if len(batch) == 1 else [self._keep([one])[0] for one in batch]
        except LedgerError as e:
            return [e] * len(batch)
        except Exception as e:
            # A dead thread would leave the callers waiting forever.
            failed = StoreUnavailable(f"the spans could not be kept: {e!r}")
            failed.__cause__ = e
            return [failed] * len(batch)
        return [None] * len(batch)


def _resolve(answer: asyncio.Future[None], outcome: LedgerError | None) -> None:
    if answer.done():
        return
    if outcome is None:
        answer.set_result(None)
    else:
        answer.set_exception(outcome)
