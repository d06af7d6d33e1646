"""Whether the server lives, and whether it should be sent requests."""

from typing import Any, Final

from pydantic import BaseModel

from runledger.distribution import package_version
from runledger.server.call import Call, Reply
from runledger.server.route import Lenient, Route

AnyCall = Call[Lenient, None]


class Health(BaseModel):
    """What the official client asks for first."""

    status: str
    version: str


class Alive(BaseModel):
    """The process turns its loop."""

    status: str


class Ready(BaseModel):
    """`reasons` say why not, empty on a server that is ready."""

    status: str
    reasons: list[str]


async def health(_call: AnyCall) -> Health:
    """Say that this is a server of this version."""
    return Health(status="ok", version=package_version())


async def alive(_call: AnyCall) -> Alive:
    """Say that the loop turns; nothing is touched."""
    return Alive(status="ok")


async def ready(call: AnyCall) -> Reply:
    """Say whether the store answers and the read models are close behind, with reasons if not."""
    reasons = await call.services.unready()
    state = Ready(status="unavailable" if reasons else "ok", reasons=reasons)
    return Reply(state, 503 if reasons else 200)


def _route(path: str, name: str, handler: Any, answer: type[BaseModel], *errors: int) -> Route:
    return Route(
        "GET", path, name, handler, scope=None, answer=answer, errors=errors, answering=errors
    )


ROUTES: Final = (
    _route("/v1/health/", "health", health, Health),
    _route("/healthz", "alive", alive, Alive),
    _route("/readyz", "ready", ready, Ready, 503),
)
