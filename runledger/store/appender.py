"""The appender: one thread per process that collects the appends of all tasks into one commit.

This is the one place where asyncio meets the synchronous core. There is no timer: while a commit
is on its way to the disk, the next batch collects by itself, so a lone append never waits.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Final, NamedTuple

from runledger.errors import LedgerError, StoreError, StoreRefused, StoreUnavailable
from runledger.store.acknowledged import to_decide_again
from runledger.store.protocol import Append, Store, Verdict

MAX_EVENTS: Final = 4_096
"""Events per commit; a single larger append goes alone."""

Outcome = Verdict | LedgerError


class _Request(NamedTuple):
    append: Append
    epoch: int
    answer: asyncio.Future[Verdict]


class Appender:
    """Groups appends into commits; each gets its own verdict."""

    def __init__(self, store: Store) -> None:
        self._store = store
        # Written in C, and one thread takes from it: a condition costs more than all else here.
        self._submitted: SimpleQueue[_Request | None] = SimpleQueue()
        self._waiting: list[_Request] = []
        self._closing = Lock()
        self._closed = self._ended = False
        self._thread = Thread(target=self._work, name="runledger-appender", daemon=True)
        self._thread.start()

    async def submit(self, append: Append, epoch: int | None = None) -> Verdict:
        """Record an append durably; StoreUnavailable where that is not known to have happened.

        `epoch` is that of the store when the append was decided: an append of an earlier one is a
        conflict. A cancelled caller does not take its append back: it may be recorded all the same.
        """
        decided = self._store.epoch if epoch is None else epoch
        answer: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        with self._closing:
            if self._closed:
                raise StoreUnavailable("the ledger is closed")
            self._submitted.put(_Request(append, decided, answer))
        return await answer

    def close(self) -> None:
        """Record what was submitted, then stop."""
        with self._closing:
            if not self._closed:
                self._closed = True
                # Under the lock, so that nothing follows it.
                self._submitted.put(None)
        self._thread.join()

    def _take(self) -> list[_Request]:
        """Take the next batch: in order, no stream in two requests; empty once all is recorded.

        A request whose stream is taken waits for the next batch, and so does all that follows on
        its streams: within one process, appends to a stream keep the order they came in.
        """
        if not self._waiting and not self._ended:
            self._collect(1)
        self._collect(self._submitted.qsize())
        batch: list[_Request] = []
        left: list[_Request] = []
        streams: set[str] = set()
        events = 0
        for place, request in enumerate(self._waiting):
            touched = [write.stream for write in request.append]
            size = sum([len(write.events) for write in request.append])
            if batch and events + size > MAX_EVENTS:
                left += self._waiting[place:]
                break
            if streams.isdisjoint(touched):
                batch.append(request)
                events += size
            else:
                left.append(request)
            streams.update(touched)
        self._waiting = left
        return batch

    def _collect(self, count: int) -> None:
        for _ in range(count):
            request = self._submitted.get()
            if request is None:
                self._ended = True
            else:
                self._waiting.append(request)

    def _work(self) -> None:
        while batch := self._take():
            epoch = self._store.epoch
            current = [request for request in batch if request.epoch == epoch]
            if current:
                _answer(current, self._record([request.append for request in current]))
            if len(current) < len(batch):
                # Versions may agree by chance where the events are other ones.
                old = [request for request in batch if request.epoch != epoch]
                _answer(old, [to_decide_again(request.append) for request in old])

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
