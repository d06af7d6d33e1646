"""All views of the page."""

from collections.abc import Mapping
from typing import Any, Final, Literal

from pydantic import BaseModel

from runledger.server.call import Call
from runledger.server.route import Route, Scope, Strict
from runledger.web import (
    fresh,
    group_views,
    login,
    one_group,
    operations,
    overview,
    run,
    run_actions,
    run_downloads,
    runs,
    sql,
    two_runs,
)
from runledger.web.address import Address
from runledger.web.group import GROUPS
from runledger.web.run_search import AsOfNow, RunSearch
from runledger.web.view import Elsewhere

_FORM: Final = ("application/x-www-form-urlencoded",)


class Nothing(Strict):
    """A form without fields."""


async def _begin(call: Call[AsOfNow, None]) -> Elsewhere:
    return Elsewhere(Address.of("overview").having(as_of=call.query.as_of))


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
    _view("/overview", "overview", overview.show, overview.Span),
    *(_view(f"/{one.name}", one.name, group_views.shows(one)) for one in GROUPS),
    *(
        _view(f"/{one.name}/one", f"one_of_{one.name}", one_group.shows(one), one_group.Named)
        for one in GROUPS
    ),
    _view("/sql", "sql", sql.show, sql.Question, "sql"),
    _view("/fresh", "fresh", fresh.follow, fresh.Since),
    _view("/runs", "runs", runs.show, RunSearch),
    _view("/runs/compare", "compare", two_runs.show, two_runs.Two),
    _view("/runs/{run_id}", "run", run.show, run.RunView),
    _view("/runs/{run_id}/images/{sha256}", "image", run.image),
    _view("/operations", "operations", operations.show, operations.Looking, "operate"),
    *(
        _form(f"/operations/{path}", f"operations_{handler.__name__}", handler, body, "operate")
        for path, handler, body in (
            ("replay", operations.replay, operations.Replaying),
            ("compare", operations.compare, operations.Comparing),
            ("switch", operations.switch, operations.Numbered),
            ("drop", operations.drop, operations.Numbered),
            ("verify", operations.verify, Nothing),
            ("parked/retry", operations.retry, Nothing),
            ("{operation_id}/cancel", operations.cancel, Nothing),
        )
    ),
    _form("/runs/{run_id}/cancel", "cancel_run", run_actions.cancel),
    _form("/runs/{run_id}/delete", "delete_run", run_actions.delete, run_actions.Certain),
    _form("/runs/{run_id}/callback", "redeliver_callback", run_actions.redeliver),
    _form("/sign-in", "sign_in", login.sign_in, login.Key, None),
    _form("/sign-out", "sign_out", login.sign_out, scope=None),
)

DOWNLOADS: Final[Mapping[str, Any]] = {"runs": run_downloads.download, "sql": sql.download}
"""The views, by name, that can be had as a file too, in each form of MEDIA."""
