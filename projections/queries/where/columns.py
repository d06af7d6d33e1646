"""The columns that a filter expression may name, as the schemas of the read models declare them."""

import re
from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from typing import Final, NamedTuple, get_args

from projections.queries.statuses import Status
from projections.read_models.catalog import schema
from runledger.events import Feedback, StopReason


class Kind(StrEnum):
    """The kind of a value; values of different kinds are never compared."""

    TEXT = "text"
    NUMBER = "number"
    BOOL = "condition"
    TIME = "time"
    LIST = "list"
    SPAN = "interval"
    JSON = "JSON"
    NULL = "NULL"


class Column(NamedTuple):
    """A column of a read model: its name there, its kind, and its values if they are known."""

    name: str
    kind: Kind
    values: tuple[str, ...] = ()


_KINDS: Final = {
    "VARCHAR": Kind.TEXT,
    "BIGINT": Kind.NUMBER,
    "INTEGER": Kind.NUMBER,
    "HUGEINT": Kind.NUMBER,
    "DOUBLE": Kind.NUMBER,
    "DECIMAL": Kind.NUMBER,
    "BOOLEAN": Kind.BOOL,
    "TIMESTAMPTZ": Kind.TIME,
    "VARCHAR[]": Kind.LIST,
}
_LINE: Final = re.compile(r"^    (\w+) ([A-Z]+(?:\[\])?)", re.MULTILINE)
_HIDDEN: Final = frozenset(
    # The organization is that of the caller, and the others are places in the log.
    {"organization", "born", "position", "created_position", "ended_position", "last_position"}
)
_VALUES: Final[Mapping[tuple[str, str], tuple[str, ...]]] = {
    ("runs", "status"): get_args(Status),
    ("runs", "stop_reason"): get_args(StopReason),
    ("runs", "feedback"): get_args(Feedback),
    ("steps", "feedback"): get_args(Feedback),
    ("tool_calls", "status"): ("open", "success", "error", "denied"),
}
COSTS: Final = ("cost_usd", "unpriced_tokens", "incomplete_steps")
"""The columns of runs in a list that are summed from another table."""
_OTHER_NAMES: Final[Mapping[str, Mapping[str, Column]]] = {
    "runs": {
        "id": Column("run_id", Kind.TEXT),
        "duration": Column("run_ns", Kind.SPAN),
        "metadata": Column("metadata", Kind.JSON),
        **{name: Column(name, Kind.NUMBER) for name in COSTS},
    },
    "steps": {"duration": Column("step_ns", Kind.SPAN)},
    "tool_calls": {},
}
TABLES: Final = tuple(_OTHER_NAMES)


@cache
def columns(table: str) -> Mapping[str, Column]:
    """Return the columns of runs, steps or tool_calls by the names that expressions use.

    They are all columns of the read model's schema with a kind of the language; a new one is known
    as soon as it is there. A duration is an interval under its name, and a number of nanoseconds
    under the name of its column.
    """
    found = {
        name: Column(name, _KINDS[kind], _VALUES.get((table, name), ()))
        for name, kind in _LINE.findall(schema(table))
        if kind in _KINDS and name not in _HIDDEN
    }
    return {**found, **_OTHER_NAMES[table]}
