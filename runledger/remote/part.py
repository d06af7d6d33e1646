"""A part of the remote ledger: some of its methods, over one connection."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from pydantic import TypeAdapter

from projections.generations.as_of import AsOfMoment
from runledger.ids import check_id
from runledger.records import RunRecord
from runledger.remote.batcher import Batcher
from runledger.remote.connection import Connection

RUN: Final = TypeAdapter(RunRecord)
NOTHING: Final[TypeAdapter[None]] = TypeAdapter(None)


class RemotePart:
    """A group of the methods of a ledger, done by a server.

    The server knows by the key which user acts, and for which organization; the key of all
    organizations may name another one as the actor of a call.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._batcher = Batcher(connection)


def run_path(run_id: str, rest: str = "") -> str:
    """Return the route of a run, or of something of it; raise InvalidId."""
    return f"runs/{check_id('run', run_id)}{rest}"


def agent_path(agent_id: str) -> str:
    """Return the route of an agent; raise InvalidId."""
    return f"agents/{quote(check_id('agent', agent_id), safe='')}"


def given(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments that are not None; the server has the same defaults."""
    return {name: value for name, value in arguments.items() if value is not None}


def moment(as_of: AsOfMoment | None) -> str | None:
    """Return a position or time as the server reads it."""
    if as_of is None or isinstance(as_of, int):
        return None if as_of is None else str(as_of)
    return as_of.isoformat()
