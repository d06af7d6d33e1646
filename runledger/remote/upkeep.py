"""The SQL, the expiry and the projecting of a remote ledger."""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from pydantic import BaseModel, TypeAdapter

from projections.fold.engine import Progress
from projections.generations.as_of import AsOfMoment
from projections.queries.queries import Take
from runledger.errors import InvalidArgument
from runledger.remote.answers import RUN_IDS
from runledger.remote.part import RemotePart, given, moment
from runledger.run import Actor

_T = TypeVar("_T")


class _Answer(BaseModel):
    columns: list[str]
    rows: list[tuple[Any, ...]]
    truncated: bool


class _Projected(BaseModel):
    position: int


_ANSWER: Final = TypeAdapter(_Answer)
_PROJECTED: Final = TypeAdapter(_Projected)
_SPAN: Final = TypeAdapter(timedelta)


class RemoteUpkeep(RemotePart):
    """The methods of runledger.ledger that an operator calls beside `operator`; see there."""

    async def sql(
        self, statement: str, *, as_of: AsOfMoment | None = None
    ) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Return (column names, rows) of one SELECT; values are as JSON tells them.

        A time is text in ISO 8601, a decimal and a UUID are text, and NaN is None.

        Raises:
            InvalidArgument: if the answer is larger than a server gives, rather than a part of it.
        """
        body = given({"statement": statement, "as_of": moment(as_of)})
        found = await self._connection.search("sql", _ANSWER, body)
        if found.truncated:
            raise InvalidArgument(
                f"sql: expected an answer that the server gives whole, found more than "
                f"{len(found.rows):,} rows: narrow it, or ask a copy that `runledger publish` "
                f"fetches"
            )
        return found.columns, found.rows

    async def sql_rows(
        self, statement: str, take: Take[_T], *, as_of: AsOfMoment | None = None
    ) -> _T:
        """Call `take` in a thread with the answer of `sql`."""
        columns, rows = await self.sql(statement, as_of=as_of)
        return await asyncio.to_thread(take, columns, iter(rows))

    async def project(self, progress: Progress | None = None) -> int:
        """Have the server bring its read models up to date; `progress` is called at the end."""
        done = await self._connection.command("POST", "project", _PROJECTED)
        if progress is not None:
            progress(0, done.position)
        return done.position

    async def expire_runs(
        self,
        *,
        older_than: timedelta,
        every_organization: bool = False,
        actor: Actor | None = None,
        at: datetime | None = None,
    ) -> list[str]:
        """Fail the open runs that had no event for some time; sent again, those that are left."""
        if not isinstance(older_than, timedelta):
            raise InvalidArgument(f"older_than: expected a timedelta, found {older_than!r:.80}")
        span = _SPAN.dump_python(older_than, mode="json")
        return await self._expire(
            "runs/expire", {"older_than": span}, every_organization, actor, at
        )

    async def expire_approvals(
        self,
        *,
        every_organization: bool = False,
        actor: Actor | None = None,
        at: datetime | None = None,
    ) -> list[str]:
        """Deny the open tool calls of runs whose approval deadline has passed."""
        return await self._expire("runs/expire_approvals", {}, every_organization, actor, at)

    async def _expire(
        self,
        path: str,
        body: Mapping[str, Any],
        every_organization: bool,
        actor: Actor | None,
        at: datetime | None,
    ) -> list[str]:
        asked = {**body, **given({"at": at}), "every_organization": every_organization}
        done = await self._connection.command("POST", path, RUN_IDS, asked, actor=actor)
        return done.run_ids
