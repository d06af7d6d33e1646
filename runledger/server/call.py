"""A call: one request, read and checked, as a route's handler gets it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from pydantic import BaseModel

from runledger.ledger import RunLedger
from runledger.run import Actor
from runledger.server.caller import Caller
from runledger.server.services import Services

Q = TypeVar("Q", bound=BaseModel)
B = TypeVar("B")


@dataclass(frozen=True, slots=True)
class Call(Generic[Q, B]):
    """A request, as a handler answers it.

    `names` are what the braces of the path stand for, decoded and not checked; `headers` have names
    in lower case, the last value of each; `path` is as it was sent, without the query;
    `client` is the address of the other side, None at a Unix socket.
    """

    services: Services
    caller: Caller
    names: Mapping[str, str]
    query: Q
    body: B
    headers: Mapping[str, str]
    request_id: str
    path: str
    client: str | None = None

    @property
    def ledger(self) -> RunLedger:
        """The one ledger of this process."""
        return self.services.ledger

    @property
    def actor(self) -> Actor:
        """On whose behalf the ledger is asked."""
        return self.caller.actor


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer with a status or headers other than the route's.

    `rows` are the records of a page, if it is asked for as a table.
    """

    value: object
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    rows: Sequence[BaseModel] = ()
