"""Followers: the events of a run, or of the log, as they are recorded."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Final

from runledger.errors import InvalidArgument, LogDiverged, NotFound
from runledger.events import CATALOGUE, RunDeleted
from runledger.ledger.arguments import check_counts, check_flags, texts
from runledger.ledger.part import LedgerPart
from runledger.run import Actor, Run
from runledger.store import Store
from runledger.store.codec import decode
from runledger.store.log_mark import LogMark, mark_of, mark_until
from runledger.store.protocol import StoredEvent, StoredRow

_PAGE: Final = 500
"""The largest number of events that one follower has in memory."""


class Followers(LedgerPart):
    """All followers share one poll of the log's end; each has a position and a page of events."""

    async def follow_run(
        self,
        run_id: str,
        *,
        after: int = 0,
        contents: bool = True,
        idle_seconds: float | None = None,
        actor: Actor | None = None,
    ) -> AsyncIterator[StoredEvent | None]:
        """Yield the events of a run in order, first the recorded ones, then new ones.

        Ends when the run has ended and everything was yielded.

        Parameters:
            run_id: the run.
            after: the version of the last event that the caller has, 0 for none.
            contents: whether messages are returned with their bodies.
            idle_seconds: after this time without an event, None is yielded; None for never.
            actor: acts instead of the ledger's own actor.

        Raises:
            NotFound: if there is no such run, or if it is deleted meanwhile.
            LogDiverged: if the run has fewer events than `after`: some were lost.
            StoreUnavailable: if the store cannot be read.
        """
        check_counts(least=0, after=after)
        check_flags(contents=contents)
        _check_idle(idle_seconds)
        store = self.opened.store
        await self.opened.load(run_id, actor)
        async with self.opened.tail.of(store).watch(run_id) as woken:
            while True:
                woken.clear()
                # Checked before the page is read: an end that is recorded later is in a later page.
                run = await self.opened.load(run_id, actor)
                page = await asyncio.to_thread(
                    store.read_stream, run_id, after, after + _PAGE, contents
                )
                for stored in page:
                    if isinstance(stored.event, RunDeleted):
                        raise NotFound("run", run_id)
                    yield stored
                    after = stored.version
                if page:
                    continue
                if run.version < after:
                    # Loaded again: some of these events may have been recorded after it was loaded.
                    run = await self.opened.load(run_id, actor)
                    _expect_not_shorter(run, after)
                if run.ended:
                    return
                if not await _woken(woken, idle_seconds):
                    yield None

    async def follow_log(
        self,
        *,
        after: int | None = None,
        topics: Iterable[str] = (),
        contents: bool = False,
        idle_seconds: float | None = None,
        actor: Actor | None = None,
    ) -> AsyncIterator[StoredEvent | None]:
        """Yield the events of the actor's organization in the order of the log, endlessly.

        Parameters:
            after: the position after which to begin; the current end of the log for None.
            topics: topics of events, such as `run.completed`; none for all.
            contents: whether messages are returned with their bodies.
            idle_seconds: after this time without an event, None is yielded; None for never.
            actor: acts instead of the ledger's own actor.

        Raises:
            InvalidArgument: if a topic is not in the catalogue.
            UndecodableEvent: if an event of the organization cannot be decoded.
            LogDiverged: if the log ends before `after`, or has lost events that were read.
            StoreUnavailable: if the store cannot be read.
        """
        wanted = texts("topics", topics)
        if unknown := sorted(set(wanted) - CATALOGUE.keys()):
            raise InvalidArgument(f"topics: no such topic: {', '.join(unknown)}")
        check_flags(contents=contents)
        _check_idle(idle_seconds)
        if after is not None:
            check_counts(least=0, after=after)
        organization, store = self.opened.organization(actor), self.opened.store
        async with self.opened.tail.of(store).watch() as woken:
            position = await asyncio.to_thread(store.head) if after is None else after
            mark = await asyncio.to_thread(mark_until, store, position)
            while True:
                woken.clear()
                head = await asyncio.to_thread(store.head)
                page: list[StoredRow] = []
                beyond = mark
                if head > position:
                    # Read before the page, and looked for after it: the page is of one log.
                    beyond = await asyncio.to_thread(mark_until, store, head)
                    page = await asyncio.to_thread(
                        store.read_log,
                        position,
                        _PAGE,
                        wanted,
                        contents,
                        head,
                        organization,
                    )
                # Checked after the page was read: a log that was reset before the read shows it
                # now.
                if head < position or not await asyncio.to_thread(_are_in, store, mark, beyond):
                    raise LogDiverged(
                        f"follow_log: expected the log that was read up to position {position:,}, "
                        f"found one that ends at {head:,} or has other events there, as after a "
                        f"restored backup or a failover; begin again where the two agree"
                    )
                for row in page:
                    event = decode(row.stream, row.version, row.topic, row.facts, row.contents)
                    # The store reads the same JSON; it could resolve a duplicate key differently.
                    if event.organization == organization:
                        yield StoredEvent(row.position, row.stream, row.version, event)
                    position = row.position
                if len(page) < _PAGE:
                    # Events of other organizations are not read again.
                    position, mark = head, beyond
                else:
                    mark = mark_of(page[-1])
                if not page and not await _woken(woken, idle_seconds):
                    yield None


def _expect_not_shorter(run: Run, after: int) -> None:
    if run.version < after:
        raise LogDiverged(
            f"follow_run: run {run.run_id}: expected a run with {after} events, which were read "
            f"before, found {run.version}: the log has gone back, as after a restored backup or a "
            f"failover; follow the run from its beginning"
        )


def _are_in(store: Store, *marks: LogMark | None) -> bool:
    """Say whether a store still has these events; None is that of an empty log."""
    return all(mark is None or mark.is_at(store) for mark in {*marks})


def _check_idle(idle_seconds: float | None) -> None:
    if idle_seconds is None:
        return
    given = isinstance(idle_seconds, int | float) and not isinstance(idle_seconds, bool)
    if not given or not 0 < idle_seconds < float("inf"):
        raise InvalidArgument(f"idle_seconds: expected more than 0, found {idle_seconds!r:.80}")


async def _woken(woken: asyncio.Event, idle_seconds: float | None) -> bool:
    try:
        async with asyncio.timeout(idle_seconds):
            await woken.wait()
    except TimeoutError:
        return False
    return True
