"""The event tables: one for each topic of the catalogue, a column for each fact.

Projections read them. Their columns follow from the event models, so an event that is added to the
catalogue can be projected without any SQL about its JSON.
"""

import json
from datetime import datetime
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, NamedTuple, Union, get_args, get_origin

from pydantic import AwareDatetime, BaseModel
from pydantic.fields import FieldInfo

from runledger.events import CATALOGUE, Event
from runledger.messages import Json

Shape = str | list["Shape"] | dict[str, "Shape"]
"""The structure argument of DuckDB's json_transform: a type, a list of one shape, or a shape per
key."""

_SCALARS: Final[dict[Any, str]] = {
    str: "VARCHAR",
    int: "BIGINT",
    float: "DOUBLE",
    bool: "BOOLEAN",
    datetime: "TIMESTAMPTZ",
    AwareDatetime: "TIMESTAMPTZ",
    Json: "JSON",
}
STRANGE: Final = "strange_events"
"""The table of the events whose topic the catalogue does not know."""
ENVELOPE: Final = (
    *("position", "stream", "version", "topic", "occurred_at", "recorded_at"),
    *("organization", "agent_id", "project_id", "born", "late", "doubtful", "facts"),
)
"""The columns of the relation `batch`, which has every event; NULL if a topic lacks the fact."""


class EventTable(NamedTuple):
    """The events of one topic; every event of it has the `required` facts."""

    name: str
    topic: str
    revision: int
    shape: str
    facts: tuple[str, ...]
    required: tuple[str, ...]

    @property
    def envelope(self) -> list[str]:
        """The columns that it shares with other event tables."""
        own = {"position", "stream", "version", "topic", "doubtful", "facts", *self.facts}
        return [name for name in ENVELOPE if name in own]


@cache
def event_tables() -> dict[str, EventTable]:
    """Return the event tables by topic."""
    return {topic: _table(event) for topic, event in sorted(CATALOGUE.items())}


def table_name(topic: str) -> str:
    """Return the table of a topic, such as `run_step_recorded`; STRANGE if it is unknown."""
    return topic.replace(".", "_") if topic in CATALOGUE else STRANGE


def _table(event: type[Event]) -> EventTable:
    fields = {n: f for n, f in event.model_fields.items() if n not in event.contents}
    shape = {"revision": "INTEGER", **_shape_of(fields)}
    return EventTable(
        name=table_name(event.topic),
        topic=event.topic,
        revision=event.revision,
        shape=json.dumps(shape),
        facts=tuple(shape),
        required=("revision", *(n for n, f in fields.items() if not _may_lack(f))),
    )


def _may_lack(field: FieldInfo) -> bool:
    # Facts that are None are not stored; a default of another value is.
    return not field.is_required() and field.get_default(call_default_factory=True) is None


def _shape_of(fields: dict[str, FieldInfo]) -> dict[str, Shape]:
    return {name: _shape(field.annotation) for name, field in fields.items()}


def _shape(annotation: Any) -> Shape:
    if annotation in _SCALARS:
        return _SCALARS[annotation]
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        (one,) = (argument for argument in arguments if argument is not NoneType)
        return _shape(one)
    if origin is Annotated:
        return _shape(arguments[0])
    if origin is Literal:
        return "VARCHAR"
    if origin is list:
        return [_shape(arguments[0])]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _shape_of(annotation.model_fields)
    raise TypeError(f"event tables: no column type for {annotation!r}")
