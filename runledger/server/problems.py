"""Errors as answers: one table from the ledger's errors to a status, in the words of each face."""

import json
import re
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from starlette.responses import Response

from runledger import errors
from runledger.server.refusal import Refusal

RETRY_SECONDS: Final = 1


class Answered(NamedTuple):
    """The status of an error, and its words where the error's own would tell of our insides."""

    status: int
    said: str | None = None


_UNAVAILABLE: Final = (
    "the store does not answer now; nothing of the request is known to be recorded"
)
_INTERNAL: Final = "the server failed; its log says why, under the request_id of this answer"

STATUS: Final[dict[type[errors.LedgerError], Answered]] = {
    errors.LedgerError: Answered(500, _INTERNAL),
    errors.InvalidArgument: Answered(422),
    errors.InvalidId: Answered(400),
    errors.NotFound: Answered(404),
    errors.Conflict: Answered(409),
    errors.VersionConflict: Answered(412),
    errors.IdempotencyKeyReused: Answered(422),
    errors.ProofRefused: Answered(422),
    errors.LogDiverged: Answered(410),
    errors.ReadModelsDamaged: Answered(500, _INTERNAL),
    errors.OnlyRead: Answered(403, "this ledger can only be read"),
    errors.ReadModelsMissing: Answered(
        501, "lists and totals come from read models, and this server was started without"
    ),
    errors.StoreUnavailable: Answered(503, _UNAVAILABLE),
    errors.ReadModelsLocked: Answered(503, "another process holds the read models now"),
}
"""Of an error that is not here, the nearest of its bases counts."""


def answered(error: errors.LedgerError) -> Answered:
    """Return how an error of the ledger is answered."""
    return next(STATUS[base] for base in type(error).__mro__ if base in STATUS)


def refusal_of(error: errors.LedgerError) -> Refusal:
    """Return an error of the ledger as a refusal, with its attributes if they may be told."""
    status, said = answered(error)
    more = {} if said else {name: _plain(value) for name, value in vars(error).items()}
    headers = {"Retry-After": str(RETRY_SECONDS)} if status == 503 else {}
    again = isinstance(error, errors.ConcurrentAppend) or status == 503
    headers["x-should-retry"] = "true" if again else "false"
    return Refusal(status, said or str(error), code=kebab(type(error)), headers=headers, more=more)


def failure() -> Refusal:
    """Return the answer to a fault of the server's own code."""
    return Refusal(500, _INTERNAL, code="internal")


def problem(refusal: Refusal, request_id: str, *, native: bool) -> Response:
    """Return the answer: a problem document (RFC 9457) of our own interface, else Letta's detail.

    The client of the replaced server reads `x-should-retry`, and repeats POST too without it.
    """
    headers = {"x-should-retry": "true" if refusal.status == 503 else "false", **refusal.headers}
    if refusal.status == 503:
        headers.setdefault("Retry-After", str(RETRY_SECONDS))
    if refusal.close:
        headers["Connection"] = "close"
    if not native:
        body: dict[str, object] = {"detail": refusal.detail}
        return Response(_json(body), refusal.status, headers, "application/json")
    return Response(
        _json(document(refusal, request_id)), refusal.status, headers, "application/problem+json"
    )


def document(refusal: Refusal, request_id: str) -> dict[str, object]:
    """Return the problem document of a refusal."""
    phrase = HTTPStatus(refusal.status).phrase
    return {
        **refusal.more,
        "type": f"urn:runledger:error:{refusal.code or phrase.lower().replace(' ', '-')}",
        "title": phrase,
        "status": refusal.status,
        "detail": refusal.detail,
        "request_id": request_id,
    }


def kebab(error: type) -> str:
    """Return the name of a class as words with hyphens: ContentConflict, content-conflict."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", error.__name__).lower()


def _plain(value: object) -> object:
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return f"{value!s:.200}"


def _json(value: Any) -> bytes:
    # What a caller sent may hold half a surrogate pair, which only an escape can say.
    return json.dumps(value).encode("ascii")
