"""Hypothesis strategies built from the event catalogue: a field added there is generated here."""

import types
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from itertools import chain
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Le, MinLen
from hypothesis import strategies as st
from pydantic import AwareDatetime, BaseModel, JsonValue
from pydantic.fields import FieldInfo

from runledger.events import CATALOGUE, Event

LARGEST = 2**63 - 1

# Everything that UTF-8 can hold, the NUL character included; half a surrogate pair is no text.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
times = st.datetimes(
    datetime(1970, 1, 1),  # noqa: DTZ001
    datetime(2100, 1, 1),  # noqa: DTZ001
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))]),
)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


def _values(annotation: Any, metadata: tuple[Any, ...] = ()) -> st.SearchStrategy[Any]:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation is JsonValue:
        return json_values
    if annotation is AwareDatetime:
        return times
    if origin is Annotated:
        inner = [m.metadata if isinstance(m, FieldInfo) else [m] for m in arguments[1:]]
        return _values(arguments[0], (*chain.from_iterable(inner), *metadata))
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin in (Union, types.UnionType):
        return st.one_of(*map(_values, arguments))
    if origin is list:
        return st.lists(_values(*arguments), max_size=3)
    if origin is dict:
        return st.dictionaries(texts, _values(arguments[1]), max_size=3)
    if annotation is types.NoneType:
        return st.none()
    if annotation is bool:
        return st.booleans()
    bounds = {type(m): m for m in metadata}
    if annotation is int:
        least = bounds[Ge].ge if Ge in bounds else -LARGEST
        return st.integers(least, bounds[Le].le if Le in bounds else LARGEST)
    if annotation is str:
        return texts.filter(len) if MinLen in bounds else texts
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return models(annotation)
    raise NotImplementedError(f"no strategy for {annotation!r}")


@cache
def models(cls: type[BaseModel]) -> st.SearchStrategy[Any]:
    """Return instances of a model with every field drawn from what its annotation allows."""
    fields = {
        name: _values(field.annotation, tuple(field.metadata))
        for name, field in cls.model_fields.items()
    }
    return st.builds(cls, **fields)


events: st.SearchStrategy[Event] = st.sampled_from(list(CATALOGUE.values())).flatmap(models)
"""Any event of the catalogue; each is valid by itself, their sequence tells no story."""
