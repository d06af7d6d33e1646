"""What can be done to a run from its view: cancel, delete, send the callback again."""

from typing import Any, Literal

from runledger.server.call import Call
from runledger.server.route import Strict
from runledger.web.address import Address
from runledger.web.view import Elsewhere


class Certain(Strict):
    """The form of what cannot be undone: its box must be ticked."""

    certain: Literal["yes"]


async def cancel(call: Call[Any, Any]) -> Elsewhere:
    """Cancel a run; one that has ended stays as it is."""
    await call.ledger.cancel_run(call.names["run_id"], actor=call.actor)
    return Elsewhere(Address.of("runs", call.names["run_id"]))


async def delete(call: Call[Any, Certain]) -> Elsewhere:
    """Delete a run, and go to the list."""
    await call.ledger.delete_run(call.names["run_id"], actor=call.actor)
    return Elsewhere(Address.of("runs"))


async def redeliver(call: Call[Any, Any]) -> Elsewhere:
    """Ask for the callback of a run to be sent again."""
    await call.ledger.redeliver_callback(call.names["run_id"], actor=call.actor)
    return Elsewhere(Address.of("runs", call.names["run_id"]))
