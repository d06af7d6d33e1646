"""What the parts of the ledger share: store, command handler, read models, actor."""

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from projections.generations.as_of import AsOf, AsOfMoment, position_of
from projections.generations.live import LiveReadModels
from projections.publishing.publish import PublishedReadModels
from projections.queries.queries import Queries
from runledger.callbacks import CallbackSettings
from runledger.command_handling.handler import Clock, CommandBatch, CommandHandler, Outcome
from runledger.command_handling.message_input import as_messages, check_blobs, keep_images
from runledger.errors import (
    InvalidArgument,
    LedgerError,
    NotFound,
    ReadModelsError,
    ReadModelsMissing,
)
from runledger.ids import derived_id, new_id
from runledger.images import IMAGE_ADDRESSES, blob_sources
from runledger.ledger.arguments import check_actor, check_counts
from runledger.messages import Message
from runledger.outbound import AddressPolicy
from runledger.run import Actor, Run, evolve
from runledger.run.commands import Command
from runledger.run.parties import Agent, agent_stream, fold_agent
from runledger.run.receipts import check_key, receipt_for
from runledger.store import Store
from runledger.store.protocol import StoredEvent

_T = TypeVar("_T")


class LedgerBase:
    """Holds the open parts; raises a clear error while the ledger is not open."""

    _actor: Actor
    _clock: Clock
    _store: Store | None = None
    _handler: CommandHandler | None = None
    _live: LiveReadModels | PublishedReadModels | None = None
    _past: AsOf | None = None
    _image_addresses: AddressPolicy = IMAGE_ADDRESSES
    _callbacks: CallbackSettings = CallbackSettings(dispatch=False)
    _process: int = 0

    @property
    def store(self) -> Store:
        """The log."""
        return self._open_part(self._store)

    @property
    def handler(self) -> CommandHandler:
        """The command handler."""
        return self._open_part(self._handler)

    @property
    def read_models(self) -> LiveReadModels | PublishedReadModels:
        """The live read models or a published copy; raises ReadModelsMissing if opened without."""
        self._open_part(self._store)
        if self._live is None:
            raise ReadModelsMissing(
                "lists and totals come from read models; open the ledger with read_models=PATH "
                "(and not with live=False)"
            )
        return self._live

    async def _execute(
        self,
        run_id: str,
        *commands: Command,
        actor: Actor | None = None,
        expected_version: int | None = None,
        idempotency_key: str | None = None,
        at: datetime | None = None,
        times: Sequence[datetime] = (),
        correlation_id: str | None = None,
        fresh: bool = False,
    ) -> Outcome:
        if expected_version is not None:
            check_counts(least=1, expected_version=expected_version)
        whose = self._acting(actor)
        receipt = None
        if idempotency_key is not None:
            if correlation_id is not None:
                raise InvalidArgument(
                    "expected an idempotency_key or a correlation_id, found both: the events would "
                    "remember one of them"
                )
            receipt = receipt_for(whose.organization, idempotency_key, commands, (at, *times))
        order = CommandBatch(
            whose, run_id, commands, at, times, correlation_id, expected_version, receipt
        )
        return await self.handler.execute(order, fresh=fresh)

    def _new_id(self, kind: str, idempotency_key: str | None, actor: Actor | None) -> str:
        """Return a fresh id, or with a key the one that it always gives."""
        if idempotency_key is None:
            return new_id(kind)
        return derived_id(kind, self._organization(actor), check_key(idempotency_key))

    async def _messages(
        self,
        run_id: str,
        given: Iterable[Message | Mapping[str, Any]],
        actor: Actor | None,
        whole: tuple[str, ...] | None = None,
    ) -> list[Message]:
        messages = as_messages(given, whole=whole)
        if any(True for message in messages for _ in blob_sources(message)):
            check_blobs(messages, (await self._load(run_id, actor)).messages)
        return await keep_images(messages, self.store, self._image_addresses)

    async def _load(self, run_id: str, actor: Actor | None, as_of: AsOfMoment | None = None) -> Run:
        # In the present first: a run that was deleted is not served from the past either.
        found = await self.handler.load(self._acting(actor), run_id)
        if as_of is None:
            return found
        run: Run | None = None
        for row in await self._events(run_id, as_of):
            run = evolve(run, run_id, row.version, row.event)
        if run is None:
            raise NotFound("run", run_id)
        return run

    async def _known_agent(
        self, organization: str, agent_id: str, as_of: AsOfMoment | None
    ) -> Agent | None:
        """Return what is known of an agent at a moment, or None."""
        if as_of is None:
            return await self.handler.known_agent(organization, agent_id)
        agent: Agent | None = None
        for row in await self._events(agent_stream(organization, agent_id), as_of):
            agent = fold_agent(agent, row.version, row.event)
        return agent

    async def _events(
        self, stream: str, as_of: AsOfMoment | None = None, *, contents: bool = False
    ) -> list[StoredEvent]:
        """Return the events of a stream, up to a moment."""
        stored = await asyncio.to_thread(self.store.read_stream, stream, 0, None, contents)
        if as_of is None:
            return stored
        upto = await asyncio.to_thread(position_of, self.store, as_of)
        return [row for row in stored if row.position <= upto]

    async def _ask(self, question: Callable[[Queries], _T], as_of: AsOfMoment | None = None) -> _T:
        if as_of is None:
            return await asyncio.to_thread(self.read_models.ask, question)
        return await asyncio.to_thread(self._then().ask, question, as_of)

    def _then(self) -> AsOf:
        if isinstance(self._live, PublishedReadModels):
            raise ReadModelsError(
                f"published read models {str(self._live.path)!r}: expected the live file, beside "
                f"which answers from the past are kept, found a copy as of position "
                f"{self._live.position}"
            )
        if self._past is None:
            raise ReadModelsMissing(
                "answers from the past are kept beside the read models; open the ledger with "
                "read_models=PATH"
            )
        return self._past

    def _acting(self, actor: Actor | None) -> Actor:
        if actor is None:
            return self._actor
        check_actor(actor)
        return actor

    def _organization(self, actor: Actor | None) -> str:
        return self._acting(actor).organization

    def _open_part(self, part: _T | None) -> _T:
        if part is None:
            raise LedgerError(
                "the ledger is not open; use `async with RunLedger.open(...) as ledger`"
            )
        # A fork takes connections along, but no thread that answers: it would wait for ever.
        if self._process != (found := os.getpid()):
            raise LedgerError(
                f"the ledger was opened by process {self._process}, found process {found}, forked "
                f"from it; open a ledger there"
            )
        return part
