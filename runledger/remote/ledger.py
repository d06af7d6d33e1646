"""RemoteLedger: what RunLedger.open gives for the address of a server."""

import copy
from types import TracebackType
from typing import TYPE_CHECKING, Self

from runledger.errors import InvalidArgument
from runledger.remote.commands import RemoteCommands
from runledger.remote.connection import Connection
from runledger.remote.followers import RemoteFollowers
from runledger.remote.prices import RemotePrices
from runledger.remote.questions import RemoteQuestions
from runledger.remote.upkeep import RemoteUpkeep
from runledger.remote.views import RemoteViews
from runledger.run import Actor

if TYPE_CHECKING:
    from runledger.remote.operator import RemoteOperator

RETRY_FOR_SECONDS = 60.0


class RemoteLedger(
    RemoteCommands,
    RemoteQuestions,
    RemoteFollowers,
    RemoteViews,
    RemotePrices,
    RemoteUpkeep,
):
    """The ledger of a server; use it as `async with RunLedger.open("http://…") as ledger`.

    Parameters:
        url: the server's address, such as http://localhost:8283.
        api_key: the key that the server knows; None for a server without keys.
        retry_for: seconds for which a request without an answer is repeated, 0 for not at all.
        actor: the organization that acts if a call names no other, for a key of all organizations;
            the organization of the key by default.

    Raises:
        InvalidArgument: for a wrong type or an impossible address.
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        retry_for: float = RETRY_FOR_SECONDS,
        actor: Actor | None = None,
    ) -> None:
        if api_key is not None and not (isinstance(api_key, str) and api_key.isascii()):
            # Its type alone: it is a secret.
            raise InvalidArgument(f"api_key: expected ASCII text, found {type(api_key).__name__}")
        number = isinstance(retry_for, int | float) and not isinstance(retry_for, bool)
        if not number or not 0 <= retry_for < float("inf"):
            raise InvalidArgument(f"retry_for: expected 0 seconds or more, found {retry_for!r:.80}")
        self.url = url
        super().__init__(Connection(url, api_key, retry_for, actor))

    @property
    def operator(self) -> "RemoteOperator":
        """The operator's work on the server's ledger; the key is one of all organizations."""
        # Agent loops need none of what it loads.
        from runledger.remote.operator import RemoteOperator

        return RemoteOperator(self, self._connection)

    def as_actor(self, actor: Actor) -> Self:
        """Return the same open ledger for another organization; its owner still closes it."""
        view = copy.copy(self)
        super(RemoteLedger, view).__init__(self._connection.as_actor(actor))
        return view

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._batcher.close()
        await self._connection.close()
