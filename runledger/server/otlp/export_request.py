"""Requests that export something to the receiver: their routes, and what their bodies hold."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from runledger.errors import InvalidArgument
from runledger.importers.otlp.span import Span
from runledger.server.otlp.answers import PROTOBUF, as_document, is_json, refused
from runledger.server.refusal import Refusal
from runledger.server.route import JSON, Route
from runledger.store.spans import SpanRow

_T = TypeVar("_T")


class Decoded(NamedTuple):
    """What a request has that can be kept, and how much of it cannot."""

    rows: list[SpanRow]
    refused: int


def decoded(
    body: bytes,
    headers: Mapping[str, str],
    key: str,
    from_document: Callable[[Mapping[str, Any]], Iterable[_T]],
    from_protobuf: Callable[[bytes], Iterable[_T]],
) -> list[_T]:
    """Return what a body holds; raise Refusal with status 400 for one that is none.

    key: the field of the document that has it. The functions read the two encodings.
    """
    try:
        return list(
            from_document(as_document(body, key)) if is_json(headers) else from_protobuf(body)
        )
    except (InvalidArgument, ValueError, RecursionError) as e:
        raise Refusal(400, f"body: {e!s:.200}") from None


def rows_of(organization: str, spans: Iterable[Span]) -> list[SpanRow]:
    """Return spans as the inbox keeps them."""
    return [SpanRow(organization, span.trace_id, span.span_id, span.to_json()) for span in spans]


def export_route(what: str, handler: Any, most: int, errors: Sequence[int], summary: str) -> Route:
    """Return the route of a kind of exports; `most` bytes are taken in a request."""
    return Route(
        "POST",
        f"/v1/{what}",
        f"export_{what}",
        handler,
        "runs:write",
        takes=(PROTOBUF, JSON),
        gzip=True,
        raw=True,
        most=most,
        refused=refused,
        answer=dict[str, Any],
        produces=(PROTOBUF, JSON),
        errors=tuple(errors),
        summary=summary,
    )
