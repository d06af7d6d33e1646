"""What the parts of the ledger share: store, command handler, read models, actor."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from projections.live import LiveReadModels
from projections.queries import Queries
from runledger.callbacks import CallbackSettings
from runledger.command_handler import Clock, CommandHandler, Order, Outcome
from runledger.errors import LedgerError, ReadModelsMissing
from runledger.images import IMAGE_ADDRESSES
from runledger.message_input import as_messages
from runledger.messages import Message
from runledger.outbound import AddressPolicy
from runledger.run import Actor, Run
from runledger.run.commands import Command
from runledger.store import Store

_T = TypeVar("_T")


class LedgerBase:
    """Holds the open parts; raises a clear error while the ledger is not open."""

    _actor: Actor
    _clock: Clock
    _store: Store | None = None
    _handler: CommandHandler | None = None
    _live: LiveReadModels | None = None
    _image_addresses: AddressPolicy = IMAGE_ADDRESSES
    _callbacks: CallbackSettings = CallbackSettings(dispatch=False)

    @property
    def store(self) -> Store:
        """The log."""
        return _open(self._store)

    @property
    def handler(self) -> CommandHandler:
        """The command handler."""
        return _open(self._handler)

    @property
    def read_models(self) -> LiveReadModels:
        """The live read models; raises ReadModelsMissing for a ledger opened without."""
        _open(self._store)
        if self._live is None:
            raise ReadModelsMissing(
                "lists and totals come from read models; open the ledger with read_models=PATH"
            )
        return self._live

    async def _execute(
        self,
        run_id: str,
        *commands: Command,
        actor: Actor | None,
        at: datetime | None = None,
        times: Sequence[datetime] = (),
        correlation_id: str | None = None,
        fresh: bool = False,
    ) -> Outcome:
        order = Order(actor or self._actor, run_id, commands, at, times, correlation_id)
        return await self.handler.execute(order, fresh=fresh)

    async def _messages(self, given: Iterable[Message | Mapping[str, Any]]) -> list[Message]:
        return await as_messages(given, self.store, self._image_addresses)

    async def _load(self, run_id: str, actor: Actor | None) -> Run:
        return await self.handler.load(actor or self._actor, run_id)

    async def _ask(self, question: Callable[[Queries], _T]) -> _T:
        return await asyncio.to_thread(self.read_models.ask, question)

    def _organization(self, actor: Actor | None) -> str:
        return (actor or self._actor).organization


def _open(part: _T | None) -> _T:
    if part is None:
        raise LedgerError("the ledger is not open; use `async with RunLedger.open(...) as ledger`")
    return part
