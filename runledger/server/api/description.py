"""Where the OpenAPI document is found."""

from typing import Any, Final

from runledger.server.api.openapi import description
from runledger.server.call import Call
from runledger.server.route import Route, Strict


async def get_description(call: Call[Strict, None]) -> dict[str, Any]:
    """Return the description of every route."""
    return description(call.services.routes)


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
