"""The description of every route, made of the route table and the models (OpenAPI 3.1)."""

from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import Any, Final

from pydantic import BaseModel, TypeAdapter

from runledger.distribution import package_version
from runledger.server.route import JSON, Route

_REF: Final = "#/components/schemas/{model}"
Object = dict[str, Any]
_TEXT: Final[Object] = {"type": "string"}


class Problem(BaseModel):
    """A refusal, as RFC 9457 has it, with the attributes of the ledger's error."""

    model_config = {"extra": "allow"}
    type: str
    title: str
    status: int
    detail: str
    request_id: str


class Detail(BaseModel):
    """A refusal, as the replaced server has it."""

    detail: str


def description(routes: Iterable[Route]) -> Object:
    """Return the OpenAPI document of these routes.

    Parameters:
        routes: all that the application answers.

    Source: OpenAPI 3.1.0, whose schemas are those of JSON Schema 2020-12, as pydantic writes them.
    """
    all_routes = list(routes)
    inputs: list[tuple[Any, Any, TypeAdapter[Any]]] = [
        ("problem", "serialization", TypeAdapter(Problem)),
        ("detail", "serialization", TypeAdapter(Detail)),
    ]
    for route in all_routes:
        inputs.append(((route.name, "query"), "validation", TypeAdapter(route.query)))
        inputs.append(((route.name, "answer"), "serialization", TypeAdapter(route.answer)))
        if route.body is not None:
            inputs.append(((route.name, "body"), "validation", TypeAdapter(route.body)))
    made, definitions = TypeAdapter.json_schemas(inputs, ref_template=_REF)
    schemas: Object = dict(definitions.get("$defs", {}))
    found = {key: schema for (key, _), schema in made.items()}
    paths: dict[str, Object] = {}
    for route in all_routes:
        path = route.path.rstrip("/") or "/"
        paths.setdefault(path, {})[route.method.lower()] = _operation(route, found, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "run ledger", "version": package_version()},
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(route: Route, found: dict[Any, Object], schemas: Object) -> Object:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _names(route.path)
    ]
    parameters += list(_query(_resolved(found[route.name, "query"], schemas)))
    operation: Object = {
        "operationId": route.name,
        "summary": route.summary or (route.handler.__doc__ or "").partition("\n")[0],
        "parameters": parameters,
        "responses": dict(_responses(route, found)),
    }
    if route.scope is not None:
        # A server whose store has no keys asks for none.
        operation["security"] = [{"key": []}, {}]
        operation["x-scope"] = route.scope
    if route.takes and (route.body is not None or route.raw):
        schema = {} if route.body is None else found[route.name, "body"]
        content = {kind: {"schema": schema} for kind in route.takes}
        operation["requestBody"] = {"content": content}
    return operation


def _responses(route: Route, found: dict[Any, Object]) -> Iterator[tuple[str, Object]]:
    good = {kind: _good(route, kind, found) for kind in route.produces}
    yield str(route.status), {"description": "done", "content": _content(good)}
    if route.refused is not None:
        # In the words of another protocol, which has them in the encoding of its requests.
        bad = {kind: [{"type": "object"} if kind == JSON else _TEXT] for kind in route.takes}
    else:
        face, kind = ("problem", "application/problem+json") if route.native else ("detail", JSON)
        bad = {kind: [found[face]]}
    # What any request may be answered: a broken one, a key, a method, a body, the server itself.
    always = {400, 401, 403, 405, 408, 413, 415, 421, 422, 500, 503}
    for status in sorted((always | set(route.errors)) - {route.status}):
        described: Object = {"description": HTTPStatus(status).phrase}
        beside = good if status in route.answering else {}
        if status >= 400:
            kinds = (*bad, *(kind for kind in beside if kind not in bad))
            both = {kind: [*bad.get(kind, ()), *beside.get(kind, ())] for kind in kinds}
            described["content"] = _content(both)
        elif beside:
            described["content"] = _content(beside)
        yield str(status), described


def _good(route: Route, kind: str, found: dict[Any, Object]) -> list[Object]:
    return [found[route.name, "answer"] if kind == JSON else _TEXT]


def _content(kinds: dict[str, list[Object]]) -> Object:
    return {
        kind: {"schema": schemas[0] if len(schemas) == 1 else {"anyOf": schemas}}
        for kind, schemas in kinds.items()
    }


def _query(schema: Object) -> Iterator[Object]:
    required = schema.get("required", ())
    for name, described in schema.get("properties", {}).items():
        yield {"name": name, "in": "query", "required": name in required, "schema": described}


def _names(path: str) -> list[str]:
    return [part[1:-1] for part in path.split("/") if part.startswith("{")]


def _resolved(schema: Object, schemas: Object) -> Object:
    named = schema.get("$ref", "").rpartition("/")[2]
    resolved: Object = schemas[named] if named else schema
    return resolved
