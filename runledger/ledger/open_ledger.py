"""An open ledger: the store, the command handler, the read models and the actor of its parts."""

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Self, TypeVar

from projections.generations.as_of import AsOf, AsOfMoment, position_of
from projections.generations.live import LiveReadModels
from projections.operator.held import HeldReadModels
from projections.operator.local import Operations
from projections.publishing.publish import PublishedReadModels
from projections.queries.queries import Queries
from runledger.arguments import check_actor, check_counts
from runledger.callbacks import CallbackSettings
from runledger.command_handling.batch import CommandBatch, Outcome
from runledger.command_handling.handler import Clock, CommandHandler
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
from runledger.ledger.external_engine import ExternalEngine, RunsElsewhere, no_run
from runledger.ledger.shared_tail import SharedTail
from runledger.messages import Message
from runledger.outbound import AddressPolicy
from runledger.run import Actor, Run, evolve
from runledger.run.commands import Command
from runledger.run.parties import Agent, agent_stream, fold_agent
from runledger.run.receipts import check_key, receipt_for
from runledger.store import Store
from runledger.store.protocol import StoredEvent

_T = TypeVar("_T")
ReadModels = LiveReadModels | PublishedReadModels | HeldReadModels
"""Read models that this process has open, a published copy, or those of another process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenLedger:
    """The open resources of a ledger, for one actor; the parts of the ledger use them.

    Parameters:
        store: the log.
        handler: executes commands on the log.
        actor: acts if a call names no other.
        clock: returns the time of a command.
        live: the live read models, a published copy, or those of another process; None if the
            ledger was opened without.
        past: answers from the past; None without live read models.
        path: the file of the live read models, or the folder of a published copy; None without.
        operations: the operator's work on live read models that this process has open, else None.
        engine: an external engine that executes runs; None if there is none.
        runs_elsewhere: returns whether the engine executes a run.
        image_addresses: the hosts that images may be fetched from.
        tail: the poll of the log's end that all followers share.
        callbacks: the settings of callbacks, including the allowed addresses.
    """

    store: Store
    handler: CommandHandler
    actor: Actor
    clock: Clock
    live: ReadModels | None = None
    past: AsOf | None = None
    path: Path | None = None
    operations: Operations | None = None
    engine: ExternalEngine | None = None
    runs_elsewhere: RunsElsewhere = no_run
    image_addresses: AddressPolicy = IMAGE_ADDRESSES
    callbacks: CallbackSettings = field(default_factory=lambda: CallbackSettings(dispatch=False))
    tail: SharedTail = field(default_factory=SharedTail)
    process: int = field(default_factory=os.getpid)

    def as_actor(self, actor: Actor) -> Self:
        """Return the same open ledger for another actor.

        Parameters:
            actor: acts if a call names no other.
        """
        return replace(self, actor=actor)

    def expect_own_process(self) -> None:
        """Refuse to work in a forked child.

        A forked child inherits connections but no threads, so it would wait forever.

        Raises:
            LedgerError: if another process opened the ledger.
        """
        if self.process != (found := os.getpid()):
            raise LedgerError(
                f"the ledger was opened by process {self.process}, found process {found}, forked "
                f"from it; open a ledger there"
            )

    @property
    def read_models(self) -> ReadModels:
        """The live read models or a published copy; raises ReadModelsMissing if opened without."""
        if self.live is None:
            raise ReadModelsMissing(
                "lists and totals come from read models; open the ledger with read_models=PATH "
                "(an operator's ledger does not hold them)"
            )
        return self.live

    async def execute(
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
        """Execute commands on a run in one append; see CommandBatch."""
        if expected_version is not None:
            check_counts(least=1, expected_version=expected_version)
        whose = self.acting(actor)
        receipt = None
        if idempotency_key is not None:
            if correlation_id is not None:
                raise InvalidArgument(
                    "expected an idempotency_key or a correlation_id, found both: the events would "
                    "remember one of them"
                )
            receipt = receipt_for(whose.organization, idempotency_key, commands, (at, *times))
        batch = CommandBatch(
            whose, run_id, commands, at, times, correlation_id, expected_version, receipt
        )
        return await self.handler.execute(batch, fresh=fresh)

    def new_id(self, kind: str, idempotency_key: str | None, actor: Actor | None) -> str:
        """Return a new random id, or with a key the id that is derived from it."""
        if idempotency_key is None:
            return new_id(kind)
        return derived_id(kind, self.organization(actor), check_key(idempotency_key))

    async def messages(
        self,
        run_id: str,
        given: Iterable[Message | Mapping[str, Any]],
        actor: Actor | None,
        whole: tuple[str, ...] | None = None,
    ) -> list[Message]:
        """Return messages in the form in which they are recorded, with images stored as blobs."""
        messages = as_messages(given, whole=whole)
        if any(True for message in messages for _ in blob_sources(message)):
            check_blobs(messages, (await self.load(run_id, actor)).messages)
        return await keep_images(messages, self.store, self.image_addresses)

    async def load(self, run_id: str, actor: Actor | None, as_of: AsOfMoment | None = None) -> Run:
        """Return a run, now or as of a moment, or raise NotFound."""
        # The present is checked first: a deleted run is not returned as of the past either.
        found = await self.handler.load(self.acting(actor), run_id)
        if as_of is None:
            return found
        run: Run | None = None
        for row in await self.events(run_id, as_of):
            run = evolve(run, run_id, row.version, row.event)
        if run is None:
            raise NotFound("run", run_id)
        return run

    async def known_agent(
        self, organization: str, agent_id: str, as_of: AsOfMoment | None
    ) -> Agent | None:
        """Return an agent, now or as of a moment, or None if it is unknown."""
        if as_of is None:
            return await self.handler.known_agent(organization, agent_id)
        agent: Agent | None = None
        for row in await self.events(agent_stream(organization, agent_id), as_of):
            agent = fold_agent(agent, row.version, row.event)
        return agent

    async def events(
        self, stream: str, as_of: AsOfMoment | None = None, *, contents: bool = False
    ) -> list[StoredEvent]:
        """Return the events of a stream, all or up to a moment."""
        stored = await asyncio.to_thread(self.store.read_stream, stream, 0, None, contents)
        if as_of is None:
            return stored
        upto = await asyncio.to_thread(position_of, self.store, as_of)
        return [row for row in stored if row.position <= upto]

    async def ask(self, question: Callable[[Queries], _T], as_of: AsOfMoment | None = None) -> _T:
        """Return the answer of the read models, now or as of a moment."""
        if as_of is None:
            return await asyncio.to_thread(self.read_models.ask, question)
        return await asyncio.to_thread(self.answers_from_the_past().ask, question, as_of)

    def answers_from_the_past(self) -> AsOf:
        """Return the source of answers as of a moment; ReadModelsError if there is none."""
        if isinstance(self.live, PublishedReadModels):
            raise ReadModelsError(
                f"published read models {str(self.live.path)!r}: expected the live file, beside "
                f"which answers from the past are kept, found a copy as of position "
                f"{self.live.position}"
            )
        if self.past is None:
            raise ReadModelsMissing(
                "answers from the past are kept beside the read models; open the ledger with "
                "read_models=PATH"
            )
        return self.past

    def acting(self, actor: Actor | None) -> Actor:
        """Return the actor of a call, or the ledger's if the call names none."""
        if actor is None:
            return self.actor
        check_actor(actor)
        return actor

    def organization(self, actor: Actor | None) -> str:
        """Return the organization of a call."""
        return self.acting(actor).organization
