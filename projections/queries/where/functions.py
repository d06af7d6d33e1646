"""The functions and the operators that a filter expression may use; none can fail on a row."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from projections.queries.where.columns import Kind


class Function(NamedTuple):
    """A function: the kinds of its arguments, and that of its result.

    The last `constants` arguments are constants. `pattern` says that the last argument counts
    towards the limit of patterns. `named` is its name in DuckDB, if it has another one there.
    """

    takes: Sequence[Kind]
    returns: Kind
    constants: int = 0
    pattern: bool = False
    named: str | None = None


_TEXTS: Final = (Kind.TEXT, Kind.TEXT)
_PATTERN: Final = Function(_TEXTS, Kind.BOOL, constants=1, pattern=True)
_IN_LIST: Final = Function((Kind.LIST, Kind.TEXT), Kind.BOOL, named="list_contains")

FUNCTIONS: Final[Mapping[str, Sequence[Function]]] = {
    "~~": (_PATTERN,),
    "!~~": (_PATTERN,),
    "~~*": (_PATTERN,),
    "!~~*": (_PATTERN,),
    "regexp_matches": (_PATTERN,),
    "regexp_full_match": (_PATTERN,),
    "contains": (Function(_TEXTS, Kind.BOOL), _IN_LIST),
    "list_contains": (_IN_LIST,),
    "starts_with": (Function(_TEXTS, Kind.BOOL),),
    "^@": (Function(_TEXTS, Kind.BOOL, named="starts_with"),),
    "ends_with": (Function(_TEXTS, Kind.BOOL, named="suffix"),),
    "lower": (Function((Kind.TEXT,), Kind.TEXT),),
    "upper": (Function((Kind.TEXT,), Kind.TEXT),),
    "length": (Function((Kind.TEXT,), Kind.NUMBER), Function((Kind.LIST,), Kind.NUMBER)),
    "len": (Function((Kind.TEXT,), Kind.NUMBER), Function((Kind.LIST,), Kind.NUMBER)),
    "abs": (Function((Kind.NUMBER,), Kind.NUMBER),),
    "now": (Function((), Kind.TIME),),
}
"""Each name with the functions that it stands for, told apart by the kinds of their arguments."""

OPERATORS: Final = frozenset({"~~", "!~~", "~~*", "!~~*"})
ARITHMETIC: Final = frozenset("+-*/%")
SECONDS: Final = {
    "to_seconds": 1,
    "to_minutes": 60,
    "to_hours": 3_600,
    "to_days": 86_400,
    "to_weeks": 604_800,
}
"""What DuckDB makes of `INTERVAL 2 DAY`, and the seconds of its unit."""

DATE_PARTS: Final = frozenset(
    {"year", "quarter", "month", "week", "day", "hour", "minute", "dow", "isodow", "doy"}
)
SPECIAL: Final = frozenset(
    {"any_step", "all_steps", "any_tool", "all_tools", "number", "date_part", "percentile"}
)
KNOWN: Final = frozenset(name for name in FUNCTIONS if name.isidentifier()) | SPECIAL
