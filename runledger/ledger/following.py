"""Followers: the events of a run, or of the log, as they are recorded."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from functools import partial
from typing import Final

from projections.queries.run_filter import run_filter
from runledger.arguments import check_counts, check_flags
from runledger.errors import (
    InvalidArgument,
    NotFound,
    ReadModelsError,
    UndecodableEvent,
)
from runledger.events import RunDeleted, RunEvent
from runledger.followed import check_idle, check_seen, known_topics, log_diverged, run_diverged
from runledger.ledger.open_ledger import ReadModels
from runledger.ledger.part import LedgerPart
from runledger.run import Actor
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
        seen: str | None = None,
        contents: bool = True,
        idle_seconds: float | None = None,
        actor: Actor | None = None,
    ) -> AsyncIterator[StoredEvent | None]:
        """Yield the events of a run in order, first the recorded ones, then new ones.

        Ends when the run has ended and everything was yielded.

        Parameters:
            run_id: the run.
            after: the version of the last event that the caller has, 0 for none.
            seen: the id of that event, by which a log that has gone back since is known; None if
                only its version is.
            contents: whether messages are returned with their bodies.
            idle_seconds: after this time without an event, None is yielded; None for never.
            actor: acts instead of the ledger's own actor.

        Raises:
            NotFound: if there is no such run, or if it is deleted meanwhile.
            LogDiverged: if the run has fewer events than `after`, or another event than `seen`:
                some were lost.
            StoreUnavailable: if the store cannot be read.
        """
        check_counts(least=0, after=after)
        check_seen(after, seen)
        check_flags(contents=contents)
        check_idle(idle_seconds)
        store = self.opened.store
        await self.opened.load(run_id, actor)
        async with self.opened.tail.of(store).watch(run_id) as woken:
            while True:
                woken.clear()
                # Checked before the page is read: an end that is recorded later is in a later page.
                run = await self.opened.load(run_id, actor)
                # Noted now: what is recorded while the page is read is folded into the same object.
                version, ended = run.version, run.ended
                # With the last event of the page before: in one statement, both are of one log.
                begin = after if seen is None else after - 1
                page = await asyncio.to_thread(
                    store.read_stream, run_id, begin, begin + _PAGE, contents
                )
                if seen is not None:
                    if not page or page[0].event.event_id != seen:
                        place = f"event {seen:.80} at version {after}"
                        raise run_diverged(run_id, place, "another or none")
                    page = page[1:]
                for stored in page:
                    if isinstance(stored.event, RunDeleted):
                        raise NotFound("run", run_id)
                    yield stored
                    after, seen = stored.version, stored.event.event_id
                if page:
                    continue
                if version < after:
                    # Loaded again: some of these events may have been recorded after it was loaded.
                    again = await self.opened.load(run_id, actor)
                    if again.version < after:
                        raise run_diverged(run_id, f"version {after}", f"version {again.version}")
                    # It may have ended since the page was read: its last events are in the next.
                    continue
                if ended:
                    return
                if not await _woken(woken, idle_seconds):
                    yield None

    async def follow_log(
        self,
        *,
        after: int | None = None,
        seen: str | None = None,
        topics: Iterable[str] = (),
        where: str | None = None,
        contents: bool = False,
        idle_seconds: float | None = None,
        actor: Actor | None = None,
    ) -> AsyncIterator[StoredEvent | None]:
        """Yield the events of the actor's organization in the order of the log, endlessly.

        With `where`, these are the events of runs that meet a condition when they are read, at most
        500 events together: a run that meets it later is followed from then on. A deleted run meets
        none.

        Parameters:
            after: the position after which to begin; the current end of the log for None.
            seen: the id of the event at `after`, by which a log that has gone back since is known;
                None if only its position is.
            topics: topics of events, such as `run.completed`; none for all.
            where: a condition on runs in the filter language, without a percentile; all events for
                None.
            contents: whether messages are returned with their bodies.
            idle_seconds: after this time without an event, None is yielded; None for never.
            actor: acts instead of the ledger's own actor.

        Raises:
            InvalidArgument: if a topic is not in the catalogue.
            InvalidExpression: if the condition is not in the language.
            ReadModelsError: for a condition, if the read models are a published copy.
            UndecodableEvent: if an event of the organization cannot be decoded.
            LogDiverged: if the log ends before `after`, has another event there than `seen`, or has
                lost events that were read.
            StoreUnavailable: if the store cannot be read.
        """
        wanted = known_topics(topics)
        check_flags(contents=contents)
        check_idle(idle_seconds)
        if after is not None:
            check_counts(least=0, after=after)
        check_seen(after, seen)
        if where is not None:
            expect_followed(where, self.opened.read_models)
        loop = asyncio.get_running_loop()
        quiet_since = loop.time()
        organization, store = self.opened.organization(actor), self.opened.store
        read = partial(_read, store, wanted, contents, organization)
        async with self.opened.tail.of(store).watch() as woken:
            position = await asyncio.to_thread(store.head) if after is None else after
            mark = await asyncio.to_thread(_last_seen, store, position, seen)
            while True:
                woken.clear()
                head, page, beyond, same = await asyncio.to_thread(read, position, mark)
                if not same:
                    raise log_diverged(position, head)
                events, damage = _decoded(page)
                meeting = await self._meeting(organization, where, events)
                for stored in events:
                    # The store reads the same JSON; it could resolve a duplicate key differently.
                    mine = stored.event.organization == organization
                    if mine and (meeting is None or stored.stream in meeting):
                        yield stored
                        quiet_since = loop.time()
                    position = stored.position
                if damage is not None:
                    raise damage
                if len(page) < _PAGE:
                    # Events of other organizations are not read again.
                    position, mark = head, beyond
                else:
                    mark = mark_of(page[-1])
                if not page:
                    await _woken(woken, _left(idle_seconds, quiet_since))
                # Events of other runs and organizations wake a follower, too.
                if _left(idle_seconds, quiet_since) == 0:
                    yield None
                    quiet_since = loop.time()

    async def _meeting(
        self, organization: str, where: str | None, events: list[StoredEvent]
    ) -> set[str] | None:
        """Return the runs of these events that meet a condition; None for all."""
        if where is None:
            return None
        born = {row.event.born for row in events if isinstance(row.event, RunEvent)}
        if not born:
            return set()
        # The read models have at least these events: they catch up before they answer.
        asked = await self.opened.ask(lambda q: q.meeting(organization, where, sorted(born)))
        return set(asked)


def expect_followed(where: str, read_models: ReadModels) -> None:
    """Refuse a condition that the log cannot be followed by; see `follow_log`.

    Parameters:
        where: a condition in the filter language.
        read_models: those that would be asked.
    """
    asked = run_filter("follow_log", where=where).expression
    if asked is not None and asked.percentile is not None:
        raise InvalidArgument(
            "follow_log: expected a condition on each run alone, found a percentile of all"
        )
    if not read_models.follows:
        raise ReadModelsError(
            "follow_log: expected live read models for a condition, found a published copy, which "
            "does not have the newest runs"
        )


def _read(
    store: Store,
    topics: Sequence[str],
    contents: bool,
    organization: str,
    position: int,
    mark: LogMark | None,
) -> tuple[int, list[StoredRow], LogMark | None, bool]:
    """Return the log's end, the page behind a position, the mark of the end, and whether the log
    is still the one that was read.

    All of it in one thread: under load, each change of threads takes longer than a read.
    """
    head = store.head()
    page: list[StoredRow] = []
    beyond = mark
    if head > position:
        # Read before the page, and looked for after it: the page is of one log.
        beyond = mark_until(store, head)
        page = store.read_log(position, _PAGE, topics, contents, head, organization)
    # Checked after the page was read: a log that was reset before the read shows it now.
    same = head >= position and _are_in(store, mark, beyond)
    return head, page, beyond, same


def _left(idle_seconds: float | None, since: float) -> float | None:
    """Return how many seconds are left until a follower is told that nothing came."""
    if idle_seconds is None:
        return None
    return max(0.0, since + idle_seconds - asyncio.get_running_loop().time())


def _decoded(page: Sequence[StoredRow]) -> tuple[list[StoredEvent], UndecodableEvent | None]:
    """Return the events of a page up to one that cannot be decoded, and the error of that one."""
    events: list[StoredEvent] = []
    for row in page:
        try:
            event = decode(row.stream, row.version, row.topic, row.facts, row.contents)
        except UndecodableEvent as e:
            return events, e
        events.append(StoredEvent(row.position, row.stream, row.version, event))
    return events, None


def _last_seen(store: Store, position: int, seen: str | None) -> LogMark | None:
    """Return the mark of the last event up to a position, which must be `seen` if that is given."""
    mark = mark_until(store, position)
    if seen is not None and (mark is None or mark[:2] != (position, seen)):
        raise log_diverged(position, store.head())
    return mark


def _are_in(store: Store, *marks: LogMark | None) -> bool:
    """Say whether a store still has these events; None is that of an empty log."""
    return all(mark is None or mark.is_at(store) for mark in {*marks})


async def _woken(woken: asyncio.Event, idle_seconds: float | None) -> bool:
    try:
        async with asyncio.timeout(idle_seconds):
            await woken.wait()
    except TimeoutError:
        return False
    return True
