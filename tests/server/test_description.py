"""The OpenAPI document is one, and describes what the server answers."""

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from running import RunningServer


@pytest.mark.one_database
def test_the_document_is_valid_and_has_every_route(server: RunningServer) -> None:
    with server.client() as client:
        document = client.get("/api/v1/openapi.json").json()
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []
    described = {
        (method.upper(), path) for path, methods in document["paths"].items() for method in methods
    }
    assert described == {
        (route.method, route.path.rstrip("/")) for route in server.application.routes
    }
    names = [
        one["operationId"] for methods in document["paths"].values() for one in methods.values()
    ]
    assert len(names) == len(set(names))
