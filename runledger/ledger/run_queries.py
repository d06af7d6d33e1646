"""Queries about one run: folded from its stream, so always current, in any process."""

import asyncio
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from projections.generations.as_of import AsOfMoment
from runledger.arguments import check_counts
from runledger.errors import InvalidArgument, NotFound
from runledger.events import MessagesRecorded, StepRecorded, StepStarted
from runledger.ids import check_id
from runledger.ledger.part import LedgerPart
from runledger.messages import Message
from runledger.records import (
    Records,
    RunMetrics,
    RunRecord,
    RunUsage,
    StepView,
    run_metrics,
    run_record,
    run_usage,
    step_view,
)
from runledger.run import Actor
from runledger.run.parties import Agent

if TYPE_CHECKING:
    from runledger.api_messages import ApiMessage

SortDirection = Literal["asc", "desc"]
_T = TypeVar("_T")


class RunQueries(LedgerPart):
    """Getters; NotFound for a run that does not exist, was deleted, or is another organization's.

    With `as_of`, a position of the log or a time, they return the answers of that time.
    """

    async def get_run_by_id(
        self, run_id: str, *, as_of: AsOfMoment | None = None, actor: Actor | None = None
    ) -> RunRecord:
        """Return the run.

        Parameters:
            run_id: the id of the run.
            as_of: answers as of a position of the log or a time with a zone; the present by
                default.
            actor: acts instead of the ledger's own actor; queries are about its organization.
        """
        return run_record(await self.opened.load(run_id, actor, as_of))

    async def get_run_usage(
        self, run_id: str, *, as_of: AsOfMoment | None = None, actor: Actor | None = None
    ) -> RunUsage:
        """Return the token totals over all steps of the run.

        Parameters:
            run_id: the id of the run.
            as_of: answers as of a position of the log or a time with a zone; the present by
                default.
            actor: acts instead of the ledger's own actor; queries are about its organization.
        """
        return run_usage(await self.opened.load(run_id, actor, as_of))

    async def get_run_metrics(
        self, run_id: str, *, as_of: AsOfMoment | None = None, actor: Actor | None = None
    ) -> RunMetrics:
        """Return the duration, the number of steps and the tools of the run.

        Parameters:
            run_id: the id of the run.
            as_of: answers as of a position of the log or a time with a zone; the present by
                default.
            actor: acts instead of the ledger's own actor; queries are about its organization.
        """
        return run_metrics(await self.opened.load(run_id, actor, as_of))

    async def get_run_request_config(
        self, run_id: str, *, as_of: AsOfMoment | None = None, actor: Actor | None = None
    ) -> dict[str, Any] | None:
        """Return the request's configuration that was given at creation.

        Parameters:
            run_id: the id of the run.
            as_of: answers as of a position of the log or a time with a zone; the present by
                default.
            actor: acts instead of the ledger's own actor; queries are about its organization.
        """
        return (await self.opened.load(run_id, actor, as_of)).request_config

    async def get_run_steps(
        self,
        run_id: str,
        *,
        order: SortDirection = "asc",
        limit: int | None = None,
        after: str | None = None,
        before: str | None = None,
        as_of: AsOfMoment | None = None,
        actor: Actor | None = None,
    ) -> list[StepView]:
        """Return the steps in the order of recording, all or a page of them.

        `after` and `before` are step ids: the page is after the one, or before the other, in the
        requested order.

        Parameters:
            run_id: the id of the run.
            order: "asc" for the order of recording, "desc" for the reverse.
            limit: the largest number of steps; all by default.
            after: an id of the previous page: the page begins after it, in the requested order.
            before: an id: the page ends before it, in the requested order.
            as_of: answers as of a position of the log or a time with a zone; the present by
                default.
            actor: acts instead of the ledger's own actor; queries are about its organization.
        """
        run = await self.opened.load(run_id, actor, as_of)
        stored = await self.opened.events(run_id, as_of)
        steps = {
            row.event.step_id: step_view(run, row.event)
            for row in stored
            if isinstance(row.event, StepRecorded | StepStarted)
        }
        ordered = list(steps.values())
        ids = list(steps)
        return Records(_page("step", ordered, ids, order, limit, after, before))

    async def get_stored_messages(
        self, run_id: str, *, as_of: AsOfMoment | None = None, actor: Actor | None = None
    ) -> list[Message]:
        """Return all stored messages of the run, in order.

        Parameters:
            run_id: the id of the run.
            as_of: answers as of a position of the log or a time with a zone; the present by
                default.
            actor: acts instead of the ledger's own actor; queries are about its organization.
        """
        await self.opened.load(run_id, actor, as_of)
        stored = await self.opened.events(run_id, as_of, contents=True)
        return [
            body
            for row in stored
            if isinstance(row.event, MessagesRecorded)
            for body in row.event.bodies
        ]

    async def get_run_messages(
        self,
        run_id: str,
        *,
        order: SortDirection = "asc",
        limit: int | None = 100,
        after: str | None = None,
        before: str | None = None,
        step_id: str | None = None,
        include_return_message_types: Collection[str] | None = None,
        as_of: AsOfMoment | None = None,
        actor: Actor | None = None,
    ) -> "list[ApiMessage]":
        """Return a page of the run's messages in the form of the API; images with their bytes.

        One stored message corresponds to none, one or many API messages, which share its id; this
        depends on the agent's type and the run's request_config. `step_id` keeps only the messages
        of one step. See runledger.api_messages.api_message_page for cursors, types and limit.

        Parameters:
            run_id: the id of the run.
            order: "asc" for the order of recording, "desc" for the reverse.
            limit: the largest number of messages, 100 by default; None for all.
            after: an id of the previous page: the page begins after it, in the requested order.
            before: an id: the page ends before it, in the requested order.
            step_id: keeps only the messages of one step; all by default.
            include_return_message_types: types of messages to return; all by default.
            as_of: answers as of a position of the log or a time with a zone; the present by
                default.
            actor: acts instead of the ledger's own actor; queries are about its organization.
        """
        # Imported here: these models of another system's API are used by this method only.
        from runledger.api_messages import api_message_page

        run = await self.opened.load(run_id, actor, as_of)
        agent = await self.opened.known_agent(run.organization, run.agent_id, as_of)
        messages = await self.get_stored_messages(run_id, as_of=as_of, actor=actor)
        return await asyncio.to_thread(
            api_message_page,
            messages,
            agent_type=agent.agent_type if agent else None,
            request_config=run.request_config,
            run_id=run_id,
            step_id=step_id,
            include_return_message_types=include_return_message_types,
            before=before,
            after=after,
            limit=limit,
            order=order,
            blobs=self.image_bytes,
        )

    def image_bytes(self, sha256: str) -> bytes:
        """Return the bytes of a stored image, or raise NotFound if they were deleted; it blocks.

        Parameters:
            sha256: the digest of the bytes, in hexadecimal digits.
        """
        found = self.opened.store.get_blob(sha256)
        if found is None:
            raise NotFound("blob", sha256)
        return found[1]

    async def get_agent(
        self, agent_id: str, *, as_of: AsOfMoment | None = None, actor: Actor | None = None
    ) -> Agent:
        """Return a registered agent.

        Parameters:
            agent_id: the id of the agent.
            as_of: answers as of a position of the log or a time with a zone; the present by
                default.
            actor: acts instead of the ledger's own actor; queries are about its organization.
        """
        check_id("agent", agent_id)
        known = await self.opened.known_agent(self.opened.organization(actor), agent_id, as_of)
        if known is None:
            raise NotFound("agent", agent_id)
        return known


def _page(
    kind: str,
    items: list[_T],
    ids: list[str],
    order: SortDirection,
    limit: int | None,
    after: str | None,
    before: str | None,
) -> list[_T]:
    if order not in ("asc", "desc"):
        raise InvalidArgument(f"order: expected asc or desc, found {order!r}")
    if limit is not None:
        check_counts(least=1, limit=limit)
    if after is not None and before is not None:
        raise InvalidArgument("expected `after` or `before`, found both")
    if order == "desc":
        items, ids = items[::-1], ids[::-1]
    cursor = before if after is None else after
    if cursor is not None:
        if cursor not in ids:
            raise NotFound(kind, cursor, "it is the cursor of a page")
        place = ids.index(cursor)
        items = items[:place] if after is None else items[place + 1 :]
    if limit is None:
        return items
    return items[:limit] if before is None else items[-limit:]
