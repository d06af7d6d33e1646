"""From a matched route to its answer: scope, parameters, body, handler, JSON."""

import asyncio
from collections.abc import Mapping
from contextlib import nullcontext
from functools import cache
from typing import Any

from pydantic import BaseModel, TypeAdapter
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.types import Receive, Scope

from runledger.server.body import read_body
from runledger.server.call import Call, Reply
from runledger.server.caller import Caller
from runledger.server.parameters import read_model, read_query
from runledger.server.refusal import Refusal
from runledger.server.route import JSON, Route
from runledger.server.route_table import Found
from runledger.server.services import Services
from runledger.server.strict_json import read_json
from runledger.server.tables import accepted, write_table


async def answer(
    services: Services,
    caller: Caller,
    found: Found,
    scope: Scope,
    headers: Mapping[str, str],
    receive: Receive,
    request_id: str,
) -> Response:
    """Return the answer of a route to a request; raise Refusal or the ledger's errors."""
    route, limits = found.route, services.limits
    query = read_query(route.query, scope["query_string"])
    data = await read_body(route, headers, receive, limits)
    call = Call(
        services,
        caller,
        found.names,
        query,
        _body(route, data, limits.depth),
        headers,
        request_id,
        scope["raw_path"].decode("ascii"),
        scope["client"][0] if scope.get("client") else None,
    )
    try:
        # A body that comes slowly takes no place from others; health is told on a busy server too.
        with services.requests.hold() if route.scope else nullcontext():
            async with asyncio.timeout(limits.answer_seconds):
                made = await route.handler(call)
    except TimeoutError:
        raise Refusal(503, f"no answer within {limits.answer_seconds:g} s") from None
    if isinstance(made, Response):
        return made
    reply = made if isinstance(made, Reply) else Reply(made)
    etag = reply.headers.get("ETag")
    if route.method == "GET" and etag is not None and headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=dict(reply.headers))
    if route.rows is not None:
        media = accepted(headers.get("accept", ""), route.produces)
        if media != JSON:
            return await _table(route.rows, reply, media)
    return Response(
        _adapter(route).dump_json(reply.value),
        reply.status or route.status,
        dict(reply.headers),
        JSON,
    )


async def _table(record: type[BaseModel], reply: Reply, media: str) -> Response:
    rows = reply.value if isinstance(reply.value, list) else reply.rows
    content = await run_in_threadpool(write_table, rows, record, media)
    return Response(content, headers={**reply.headers, "Vary": "Accept"}, media_type=media)


def _body(route: Route, data: bytes, depth: int) -> object:
    if route.raw:
        return data
    if not data:
        return None if route.body is None else read_model(route.body, {}, of="pointer")
    made = read_json(data, depth)
    return None if route.body is None else read_model(route.body, made, of="pointer")


@cache
def _adapter(route: Route) -> TypeAdapter[Any]:
    return TypeAdapter(route.answer)
