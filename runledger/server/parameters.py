"""The query of an address as the parameters of its route."""

from typing import Any, TypeVar, get_args, get_origin
from urllib.parse import parse_qsl

from pydantic import BaseModel, ValidationError

from runledger.errors import describe
from runledger.server.refusal import Refusal

_M = TypeVar("_M", bound=BaseModel)
_FIELDS = 1_000


def read_query(model: type[_M], query: bytes) -> _M:
    """Return the parameters of a query; a list is given as a repeated name.

    Raises Refusal: 400 for what cannot be decoded, 422 for values that the model does not take.
    """
    try:
        pairs = parse_qsl(
            query.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_FIELDS,
        )
    except ValueError as e:
        raise Refusal(400, f"query: expected names and values in UTF-8: {e}") from None
    given: dict[str, Any] = {}
    for name, value in pairs:
        if _is_list(model, name):
            given.setdefault(name, []).append(value)
        elif name in given and name in model.model_fields:
            raise Refusal(422, f"{name:.80}: expected it once", more=_place(name))
        else:
            given[name] = value
    return read_model(model, given)


def read_model(model: type[_M], given: object, *, of: str = "parameter") -> _M:
    """Return the model of these values; raise Refusal with status 422 that names every fault.

    `of` says how the problem document names the place of a fault: parameter or pointer.
    """
    try:
        return model.model_validate(given)
    except ValidationError as e:
        faults = [
            {
                of: _pointer(fault["loc"]) if of == "pointer" else ".".join(map(str, fault["loc"])),
                "detail": fault["msg"],
            }
            for fault in e.errors(include_url=False)[:20]
        ]
        raise Refusal(422, describe(e), code="invalid-argument", more={"errors": faults}) from None


def _place(name: str) -> dict[str, object]:
    return {"errors": [{"parameter": f"{name:.80}", "detail": "expected it once"}]}


def _pointer(place: tuple[int | str, ...]) -> str:
    # RFC 6901
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in place)


def _is_list(model: type[BaseModel], name: str) -> bool:
    found = model.model_fields.get(name)
    return found is not None and _has_list(found.annotation)


def _has_list(kind: Any) -> bool:
    return get_origin(kind) is list or any(_has_list(part) for part in get_args(kind))
