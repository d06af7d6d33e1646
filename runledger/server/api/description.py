"""Where the OpenAPI document is found."""

import asyncio
from typing import Any, Final

from runledger.server.api.openapi import description
from runledger.server.call import Call
from runledger.server.route import Route, Strict


async def get_description(call: Call[Strict, None]) -> dict[str, Any]:
    """Return the description of every route."""
    services = call.services
    if services.described is None:
        # A second of work, which must not stand in the way of others, and comes to the same.
        services.described = await asyncio.to_thread(description, services.routes)
    return services.described


ROUTES: Final = (
    Route(
        "GET",
        "/api/v1/openapi.json",
        "api_get_description",
        get_description,
        scope=None,
        query=Strict,
        answer=dict[str, Any],
        summary="Return the description of every route (OpenAPI 3.1).",
    ),
)
