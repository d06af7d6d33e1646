"""Saved views over HTTP."""

from functools import partial
from typing import Annotated, Final

from pydantic import BaseModel, Field

from runledger.events import ViewKind
from runledger.records import SavedView
from runledger.server.api.api_route import api_route
from runledger.server.call import Call
from runledger.server.route import Strict


class SaveView(Strict):
    """A condition in the filter language, or for the kind `sql` one SELECT."""

    text: Annotated[str, Field(max_length=100_000)]
    kind: ViewKind = "runs"


class Removed(BaseModel):
    """Whether there was a view of this name."""

    removed: bool


async def list_views(call: Call[Strict, None]) -> list[SavedView]:
    """List the saved views of the organization, by their names."""
    return await call.ledger.list_views(actor=call.actor)


async def get_view(call: Call[Strict, None]) -> SavedView:
    """Return a saved view."""
    return await call.ledger.get_view(call.names["name"], actor=call.actor)


async def save_view(call: Call[Strict, SaveView]) -> SavedView:
    """Save a view; one of the same name is replaced."""
    body = call.body
    return await call.ledger.save_view(
        call.names["name"], body.text, kind=body.kind, actor=call.actor
    )


async def remove_view(call: Call[Strict, None]) -> Removed:
    """Remove a saved view."""
    return Removed(removed=await call.ledger.remove_view(call.names["name"], actor=call.actor))


_route = partial(api_route, errors=(400, 404, 409, 422, 503))


ROUTES: Final = (
    _route("GET", "views", list_views, list[SavedView]),
    _route("GET", "views/{name}", get_view, SavedView),
    _route("PUT", "views/{name}", save_view, SavedView, body=SaveView, scope="runs:write"),
    _route("DELETE", "views/{name}", remove_view, Removed, scope="runs:write"),
)
