"""The state of the read models, for an operator: what they leave out, and their generations."""

from functools import partial
from typing import Any, Final

from pydantic import BaseModel

from projections.generations.manifest import GenerationManifest
from runledger.errors import InvalidArgument
from runledger.server.api.api_route import api_route
from runledger.server.api.single_runs import AsOf
from runledger.server.call import Call
from runledger.server.refusal import Refusal
from runledger.server.route import Strict


class ParkedStream(BaseModel):
    """A stream whose `events` from `position` on are in no read model, and the reason."""

    stream: str
    position: int
    version: int
    topic: str
    reason: str
    events: int


class Retry(Strict):
    """The ids of the parked streams to retry; all without any."""

    streams: list[str] | None = None


class Retried(BaseModel):
    """The streams whose events are applied now, and those that are still left out."""

    applied: list[str]
    parked: list[ParkedStream]


class Projected(BaseModel):
    """The position of the log that the read models have reached."""

    position: int


async def list_parked(call: Call[AsOf, None]) -> list[ParkedStream]:
    """List the streams with events that the read models leave out, in log order."""
    call.caller.expect_every_organization("the state of the read models")
    parked = await call.ledger.operator.parked(**call.query.past())
    return [ParkedStream(**one._asdict()) for one in parked]


async def retry_parked(call: Call[Strict, Retry]) -> Retried:
    """Apply the events of parked streams, once the cause is removed."""
    call.caller.expect_every_organization("the state of the read models")
    done = await call.ledger.operator.retry_parked(call.body.streams)
    left = [ParkedStream(**one._asdict()) for one in done.parked]
    return Retried(applied=done.applied, parked=left)


async def list_generations(call: Call[Strict, None]) -> list[GenerationManifest]:
    """List the generations of the read models, in order; one is live."""
    call.caller.expect_every_organization("the state of the read models")
    return await call.ledger.operator.generations()


async def get_generation(call: Call[Strict, None]) -> GenerationManifest:
    """Return a generation of the read models."""
    call.caller.expect_every_organization("the state of the read models")
    return await call.ledger.operator.generation(_number(call))


async def drop_generation(call: Call[Strict, None]) -> None:
    """Delete a generation that is not live."""
    call.caller.expect_every_organization("the state of the read models")
    number = _number(call)
    if (await call.ledger.operator.generation(number)).state == "live":
        raise Refusal(
            409, f"generation {number}: expected one that is not live; switch to another before"
        )
    await call.ledger.operator.drop_generation(number)


async def project(call: Call[Strict, None]) -> Projected:
    """Bring the read models up to date with the log."""
    call.caller.expect_every_organization("the state of the read models")
    return Projected(position=await call.ledger.project())


def _number(call: Call[Any, Any]) -> int:
    text = call.names["number"]
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise InvalidArgument(f"generation: expected its number, found {text!r:.40}")
    return int(text)


_route = partial(api_route, scope="operate", errors=(400, 403, 404, 409, 422, 501, 503))


ROUTES: Final = (
    _route("GET", "parked", list_parked, list[ParkedStream], query=AsOf),
    _route("POST", "parked/retry", retry_parked, Retried, body=Retry),
    _route("GET", "generations", list_generations, list[GenerationManifest]),
    _route("GET", "generations/{number}", get_generation, GenerationManifest),
    _route("DELETE", "generations/{number}", drop_generation, None),
    _route("POST", "project", project, Projected),
)
