"""All views of the page."""

from typing import Any, Final, Literal

from pydantic import BaseModel

from runledger.server.call import Call
from runledger.server.route import Route, Scope, Strict
from runledger.web import login, run, run_actions, runs
from runledger.web.address import Address
from runledger.web.run_search import AsOfNow, RunSearch
from runledger.web.view import Elsewhere

_FORM: Final = ("application/x-www-form-urlencoded",)


class Nothing(Strict):
    """A form without fields."""


async def _begin(call: Call[AsOfNow, None]) -> Elsewhere:
    return Elsewhere(Address.of("runs").having(as_of=call.query.as_of))


def _view(
    path: str, name: str, handler: Any, query: type[BaseModel] = AsOfNow, scope: Scope = "runs:read"
) -> Route:
    return Route("GET", path, name, handler, scope=scope, query=query)


def _form(
    path: str,
    name: str,
    handler: Any,
    body: type[BaseModel] = Nothing,
    scope: Scope | None = "runs:write",
) -> Route:
    method: Literal["POST"] = "POST"
    return Route(
        method, path, name, handler, scope=scope, query=Strict, body=body, takes=_FORM, raw=True
    )


ROUTES: Final = (
    _view("/", "begin", _begin),
    _view("/runs", "runs", runs.show, RunSearch),
    _view("/runs/{run_id}", "run", run.show, run.RunView),
    _view("/runs/{run_id}/images/{sha256}", "image", run.image),
    _form("/runs/{run_id}/cancel", "cancel_run", run_actions.cancel),
    _form("/runs/{run_id}/delete", "delete_run", run_actions.delete, run_actions.Certain),
    _form("/runs/{run_id}/callback", "redeliver_callback", run_actions.redeliver),
    _form("/sign-in", "sign_in", login.sign_in, login.Key, None),
    _form("/sign-out", "sign_out", login.sign_out, scope=None),
)
