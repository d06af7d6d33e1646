"""Hypothesis strategies built from the event catalogue: a field added there is generated here."""

import types
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from functools import cache
from itertools import chain
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Le, MinLen
from hypothesis import strategies as st
from pydantic import AwareDatetime, BaseModel, JsonValue
from pydantic.fields import FieldInfo

from runledger.events import CATALOGUE, Event
from runledger.prices.listed import ListedPrice
from runledger.prices.table import UNITS

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

days = st.dates(date(2000, 1, 1), date(2099, 12, 31))
clocks = st.times().map(lambda time: f"{time:%H:%M}")


@st.composite
def _listed_prices(draw: st.DrawFn) -> ListedPrice:
    """A price has rules over several fields, so it is not drawn from its annotations."""
    begin, end = sorted(draw(st.lists(days, min_size=2, max_size=2, unique=True)))
    pico = draw(st.integers(0, 10**12))
    hours = draw(st.just(("", "")) | st.tuples(clocks, clocks))
    return ListedPrice(
        provider=draw(texts.filter(len)),
        model=draw(texts.filter(len)),
        valid_from=draw(st.sampled_from(["", begin.isoformat()])),
        valid_to=draw(st.sampled_from(["", end.isoformat()])),
        time_from=hours[0],
        time_to=hours[1],
        service_tier=draw(st.sampled_from(["", "batch", "flex"])),
        unit=draw(st.sampled_from(UNITS)),
        price=f"{Decimal(pico).scaleb(-6):f}",
        input_from=draw(st.integers(0, LARGEST)),
    )


listed_prices = _listed_prices()


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
    if annotation is ListedPrice:
        return listed_prices
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
