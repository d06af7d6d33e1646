"""The state of the read models, for an operator: what they leave out, and their generations."""

from datetime import datetime
from typing import Any, Final

from pydantic import BaseModel

from runledger.server.api.single_runs import AsOf
from runledger.server.call import Call
from runledger.server.route import Route, Strict


class ParkedStream(BaseModel):
    """A stream whose `events` from `position` on are in no read model, and the reason."""

    stream: str
    position: int
    version: int
    topic: str
    reason: str
    events: int


class Generation(BaseModel):
    """A generation of the read models, as its manifest tells it."""

    number: int
    state: str
    position: int
    built_at: datetime
    built_from: str
    built_by: str
    rows: dict[str, int]
    seconds: float | None
    size: int | None


async def list_parked(call: Call[AsOf, None]) -> list[ParkedStream]:
    """List the streams with events that the read models leave out, in log order."""
    call.caller.expect_every_organization("the state of the read models")
    parked = await call.ledger.operator.parked(**call.query.past())
    return [ParkedStream(**one._asdict()) for one in parked]


async def list_generations(call: Call[Strict, None]) -> list[Generation]:
    """List the generations of the read models, in order; one is live."""
    call.caller.expect_every_organization("the state of the read models")
    found = await call.ledger.operator.generations()
    return [Generation(**one.model_dump(include=set(Generation.model_fields))) for one in found]


def _route(path: str, handler: Any, query: type[BaseModel], answer: Any) -> Route:
    return Route(
        "GET",
        f"/api/v1/{path}",
        f"api_{handler.__name__}",
        handler,
        scope="operate",
        query=query,
        answer=answer,
        errors=(400, 403, 422, 501, 503),
        summary=handler.__doc__.partition("\n")[0],
    )


ROUTES: Final = (
    _route("parked", list_parked, AsOf, list[ParkedStream]),
    _route("generations", list_generations, Strict, list[Generation]),
)
