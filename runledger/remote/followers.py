"""Followers of a remote ledger: they go on from the last event that they have seen."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from contextlib import aclosing
from typing import Any

from pydantic import ValidationError

from runledger.arguments import check_counts
from runledger.errors import LedgerError, StoreUnavailable, describe
from runledger.events import CATALOGUE
from runledger.followed import check_idle, check_seen, known_topics, run_diverged
from runledger.remote.connection import ConnectionLost
from runledger.remote.part import RemotePart, run_path
from runledger.remote.problems import error_in
from runledger.run import Actor
from runledger.store.protocol import StoredEvent


class RemoteFollowers(RemotePart):
    """The methods of runledger.ledger.following; see there.

    A connection that ends is opened again behind the last event, so that each comes once.
    StoreUnavailable is raised if the server stays away for the ledger's `retry_for`.
    """

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
        """Yield the events of a run in order, those that are there and those that come."""
        check_counts(least=0, after=after)
        check_seen(after, seen)
        query = {"contents": contents}
        followed = self._follow(run_path(run_id, "/follow"), query, 0, None, idle_seconds, actor)
        last = 0
        async with aclosing(followed):
            async for stored in followed:
                last = last if stored is None else stored.version
                if stored is None or stored.version > after:
                    yield stored
                elif stored.version == after and seen not in (None, stored.event.event_id):
                    place = f"event {seen:.80} at version {after}"
                    raise run_diverged(run_id, place, "another")
        if last < after:
            raise run_diverged(run_id, f"version {after}", f"version {last}")

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
        """Yield the events of the key's organization in the order of the log, without an end."""
        if after is not None:
            check_counts(least=0, after=after)
        check_seen(after, seen)
        wanted = known_topics(topics)
        query = {"contents": contents, "topics": wanted, "where": where}
        followed = self._follow("log/follow", query, after, seen, idle_seconds, actor)
        async with aclosing(followed):
            async for stored in followed:
                yield stored

    async def _follow(
        self,
        path: str,
        query: Mapping[str, Any],
        position: int | None,
        seen: str | None,
        idle_seconds: float | None,
        actor: Actor | None,
    ) -> AsyncGenerator[StoredEvent | None, None]:
        check_idle(idle_seconds)
        patience = self._connection.patience()
        while True:
            try:
                async with self._connection.lines(
                    path, **query, after=position, seen=seen, actor=actor
                ) as lines:
                    if lines is None:
                        return
                    patience.begin()
                    async for line in _with_idle(lines, idle_seconds):
                        if line is not None:
                            stored = _read(line)
                            position, seen = stored.position, stored.event.event_id
                            patience.begin()
                            yield stored
                        else:
                            yield None
                # A run that has ended answers the next request with nothing; a server that stops
                # ends its streams, too.
                reason = "the stream ended"
            except ConnectionLost as e:
                reason = str(e)
            if position is None:
                raise StoreUnavailable(
                    f"server {self._connection.url!r}: expected a first event, found the "
                    f"connection lost before it ({reason}); name `after` to go on from there"
                )
            await patience.wait(reason)


async def _with_idle(
    lines: AsyncIterator[str], idle_seconds: float | None
) -> AsyncIterator[str | None]:
    """Yield the lines, and None after so long without one that says something."""
    loop = asyncio.get_running_loop()
    coming: asyncio.Future[str] | None = None
    quiet_since = loop.time()
    try:
        while True:
            coming = coming or asyncio.ensure_future(anext(lines))
            left = None if idle_seconds is None else quiet_since + idle_seconds - loop.time()
            done, _ = await asyncio.wait((coming,), timeout=None if left is None else max(left, 0))
            if not done:
                quiet_since = loop.time()
                yield None
                continue
            try:
                line, coming = coming.result(), None
            except StopAsyncIteration:
                return
            if line.strip():
                yield line
                quiet_since = loop.time()
    finally:
        if coming is not None and not coming.done():
            coming.cancel()
            await asyncio.wait((coming,))


def _read(line: str) -> StoredEvent:
    read = json.loads(line)
    if "error" in read:
        raise error_in(read["error"])
    kind = CATALOGUE.get(read["topic"])
    if kind is None:
        raise LedgerError(
            f"event {read['topic']!r} at position {read['position']}: expected one that this "
            f"version of runledger knows, found none such: the server is newer"
        )
    try:
        event = kind.model_validate({**dict.fromkeys(kind.contents, ()), **read["event"]})
    except ValidationError as e:
        raise LedgerError(f"event {read['topic']!r}: {describe(e)}") from e
    return StoredEvent(read["position"], read["stream"], read["version"], event)
