"""Answers that are no success, as the errors that a local ledger would have raised."""

import inspect
import json
from collections.abc import Mapping
from typing import Any, Final

import httpx

from runledger import errors

_TYPE: Final = "urn:runledger:error:"
_OF_THE_DOCUMENT: Final = frozenset({"type", "title", "status", "detail", "request_id", "errors"})


def _kebab(name: str) -> str:
    return "".join(f"-{c.lower()}" if c.isupper() else c for c in name).removeprefix("-")


_ERRORS: Final[Mapping[str, type[errors.LedgerError]]] = {
    _kebab(name): error
    for name, error in vars(errors).items()
    if inspect.isclass(error) and issubclass(error, errors.LedgerError)
}


def error_of(response: httpx.Response) -> errors.LedgerError:
    """Return the error that an answer tells of, with its attributes.

    What the server refused before its ledger was asked is InvalidArgument, but for a key that is
    missing or does not allow the request: AccessRefused.
    """
    try:
        document = json.loads(response.content)
        document["detail"], document["type"]
    except (ValueError, LookupError, TypeError):
        detail = f"expected a problem document, found status {response.status_code}"
        document = {"type": "", "detail": detail}
    return error_in({**document, "status": response.status_code})


def error_in(document: Mapping[str, Any]) -> errors.LedgerError:
    """Return the error that a problem document tells of; see `error_of`."""
    detail, status = str(document["detail"]), int(document["status"])
    known = _ERRORS.get(str(document["type"]).removeprefix(_TYPE))
    if known is not None:
        return _made(known, detail, document)
    if status in (401, 403):
        return errors.AccessRefused(detail)
    if 400 <= status < 500:
        return errors.InvalidArgument(detail)
    return errors.LedgerError(f"the server failed (status {status}): {detail}")


def _made(
    kind: type[errors.LedgerError], detail: str, document: Mapping[str, Any]
) -> errors.LedgerError:
    # Its own initialiser would make the text again, from attributes that are shortened here.
    made = kind.__new__(kind)
    Exception.__init__(made, detail)
    for name, value in document.items():
        if name not in _OF_THE_DOCUMENT:
            setattr(made, name, tuple(value) if isinstance(value, list) else value)
    if isinstance(made, errors.AlreadyEnded):
        # The document's own `status` takes the place of the run's, which stands there once more.
        made.status = made.found
    return made
