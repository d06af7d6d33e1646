"""The appender: one thread per process that collects the appends of all tasks into one commit.

This is the one place where asyncio meets the synchronous core. There is no timer: while a commit
is on its way to the disk, the next batch collects by itself, so a lone append never waits.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from threading import Condition, Thread
from typing import Final, NamedTuple

from runledger.errors import LedgerError, StoreError, StoreRefused, StoreUnavailable
from runledger.store.protocol import Append, Store, Verdict

MAX_EVENTS: Final = 4_096
"""Events per commit; a single larger append goes alone."""

Outcome = Verdict | LedgerError


class _Request(NamedTuple):
    append: Append
    events: int
    answer: asyncio.Future[Verdict]


class Appender:
    """Groups appends into commits; each gets its own verdict."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: deque[_Request] = deque()
        self._changed = Condition()
        self._closed = False
        self._thread = Thread(target=self._work, name="runledger-appender", daemon=True)
        self._thread.start()

    async def submit(self, append: Append) -> Verdict:
        """Record an append durably; StoreUnavailable where that is not known to have happened.

        A cancelled caller does not take its append back: it may be recorded all the same.
        """
        answer: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        request = _Request(append, sum(len(write.events) for write in append), answer)
        with self._changed:
            if self._closed:
                raise StoreUnavailable("the ledger is closed")
            self._waiting.append(request)
            self._changed.notify()
        return await answer

    def close(self) -> None:
        """Record what was submitted, then stop."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _take(self) -> list[_Request]:
        """Take the next batch: in order, no stream in two requests.

        A request whose stream is taken waits for the next batch, and so does all that follows on
        its streams: within one process, appends to a stream keep the order they came in.
        """
        with self._changed:
            while not self._waiting and not self._closed:
                self._changed.wait()
            batch: list[_Request] = []
            left: deque[_Request] = deque()
            streams: set[str] = set()
            events = 0
            while self._waiting:
                request = self._waiting.popleft()
                touched = [write.stream for write in request.append]
                full = bool(batch) and events + request.events > MAX_EVENTS
                if full or not streams.isdisjoint(touched):
                    left.append(request)
                else:
                    batch.append(request)
                    events += request.events
                streams.update(touched)
                if full:
                    break
            left.extend(self._waiting)
            self._waiting = left
            return batch

    def _work(self) -> None:
        while batch := self._take():
            _answer(batch, self._record([request.append for request in batch]))

    def _record(self, appends: Sequence[Append]) -> Sequence[Outcome]:
        try:
            return self._store.append(appends)
        except StoreRefused as e:
            # One request holds what the database cannot take; its neighbours must not fail for it.
            return [e] if len(appends) == 1 else [self._record([one])[0] for one in appends]
        except StoreError as e:
            return [e] * len(appends)
        except Exception as e:
            # A bug must reach the callers: a dead thread would leave them waiting for ever.
            failed = StoreRefused(f"append failed: {e!r}")
            failed.__cause__ = e
            return [failed] * len(appends)


def _answer(batch: Sequence[_Request], outcomes: Sequence[Outcome]) -> None:
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Verdict], Outcome]]] = {}
    for request, outcome in zip(batch, outcomes, strict=True):
        by_loop.setdefault(request.answer.get_loop(), []).append((request.answer, outcome))
    for loop, answers in by_loop.items():
        # A loop that was closed meanwhile has nobody waiting; it must not end this thread.
        with suppress(RuntimeError):
            # One wake-up of the loop for the whole batch.
            loop.call_soon_threadsafe(_resolve, answers)


def _resolve(answers: Sequence[tuple[asyncio.Future[Verdict], Outcome]]) -> None:
    for future, outcome in answers:
        if future.done():
            continue
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)
