"""The parts of a condition while it is rebuilt: values, and questions about the rows of a run."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Literal

from projections.queries.where import tree
from projections.queries.where.columns import Column, Kind
from projections.queries.where.tree import Node
from projections.read_models.catalog import queries
from runledger.sql_file import fill

_RUNS: Final = queries("runs")
Word = Literal["AND", "OR"]
_TEMPLATES: Final = {
    "steps": ("some_steps", "every_kind_of_steps"),
    "tool_calls": ("some_tool_calls", "every_kind_of_tool_calls"),
}


@dataclass(frozen=True, slots=True)
class Some:
    """Whether, for each of the conditions, a row of the run meets it; `negated` says: not so.

    Two unselective subqueries over millions of steps take more memory than the read models have,
    and one GROUP BY does not. So conditions on one table are one question, if that is the same:
    not any a and not any b is not any (a or b), and any a or any b is any (a or b).
    """

    table: str
    conditions: tuple[Node, ...]
    negated: bool = False

    def beside(self, other: "Some", word: Word) -> "Some | None":
        """Return both, joined by AND or OR, as one question; None if they are two."""
        if (self.table, self.negated) != (other.table, other.negated):
            return None
        both = self.conditions + other.conditions
        if self.negated == (word == "OR"):
            return Some(self.table, both, self.negated)
        if len(both) > 2:
            return None
        return Some(self.table, (tree.joined("OR", both),), self.negated)

    def node(self) -> Node:
        """Return the condition on runs."""
        one, several = _TEMPLATES[self.table]
        made = copy.deepcopy(_template(one if len(self.conditions) == 1 else several))
        inner = tree.subquery(made)
        # Also of a GROUP BY, which has fewer groups if rows that meet no condition are left out.
        any_of = self.conditions[0]
        if len(self.conditions) > 1:
            any_of = tree.joined("OR", self.conditions)
            each = [tree.call("bool_or", condition) for condition in self.conditions]
            inner["having"] = tree.joined("AND", each)
        inner["where_clause"] = tree.joined("AND", [inner["where_clause"], any_of])
        return tree.operator("OPERATOR_NOT", made) if self.negated else made


@cache
def _template(name: str, **pieces: str) -> Node:
    made: Node = tree.select(tree.parser().statement(fill(tree.SQL[name], **pieces)))[
        "where_clause"
    ]
    return made


def sum_of_costs(name: str) -> Node:
    """Return a sum of the costs of a run, which is no column of its row."""
    made: Node = copy.deepcopy(_template("costs", sum=_RUNS[name])["left"])
    return made


@dataclass(frozen=True, slots=True)
class Made:
    """A rebuilt part: its node, or a question about rows, and the kind of its value.

    A constant has its `value`, and the name of the parameter that has it.
    """

    kind: Kind
    node: Node | None = None
    some: Some | None = None
    constant: bool = False
    value: Any = None
    parameter: str = ""
    column: Column | None = None


def merged(parts: Sequence[Made], word: Word) -> list[Made]:
    """Return conditions that are joined by AND or OR, with as few questions about rows as can
    be."""
    left: list[Made] = []
    for part in parts:
        for place, known in enumerate(left):
            both = part.some and known.some and known.some.beside(part.some, word)
            if both:
                left[place] = Made(Kind.BOOL, some=both)
                break
        else:
            left.append(part)
    return left
