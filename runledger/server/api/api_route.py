"""A route of the ledger's own interface: below /api/v1, named and described by its handler."""

from collections.abc import Callable
from typing import Any, Literal

from pydantic import BaseModel

from runledger.server.route import JSON, Route, Scope, Strict


def api_route(
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"],
    path: str,
    handler: Callable[[Any], Any],
    answer: Any = None,
    *,
    errors: tuple[int, ...],
    scope: Scope = "runs:read",
    query: type[BaseModel] = Strict,
    body: type[BaseModel] | None = None,
    rows: type[BaseModel] | None = None,
    status: int = 200,
    produces: tuple[str, ...] = (JSON,),
    answering: tuple[int, ...] = (),
    stream: bool = False,
) -> Route:
    """Return the route; its summary is the first line of the handler's docstring.

    Parameters:
        method: of HTTP.
        path: beneath /api/v1, without a slash before it.
        handler: takes a call; the operation is called `api_` and its name.
        answer: the type of the answer, or None for none that pydantic writes.
        errors: the other statuses.
        scope: what the caller's key must allow; `runs:read` by default.
        query: the model of the parameters; none are taken by default.
        body: the model of the body; none is read by default.
        rows: the class of the records, if the answer may be asked for as a table.
        status: of a good answer; 200 by default.
        produces: the content types of a good answer; JSON by default.
        answering: those of `errors` that may come with a good answer's body.
        stream: True counts and times it as a stream.
    """
    return Route(
        method,
        f"/api/v1/{path}",
        f"api_{handler.__name__}",
        handler,
        scope=scope,
        query=query,
        body=body,
        answer=answer,
        rows=rows,
        status=status,
        produces=produces,
        errors=errors,
        answering=answering,
        stream=stream,
        summary=(handler.__doc__ or "").partition("\n")[0],
    )
