"""Rebuilds the calls of functions and operators of a condition."""

from collections.abc import Sequence
from datetime import timedelta
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from projections.queries.where import literals, tree
from projections.queries.where.columns import Kind
from projections.queries.where.functions import (
    ARITHMETIC,
    DATE_PARTS,
    FUNCTIONS,
    KNOWN,
    OPERATORS,
    SECONDS,
    Function,
)
from projections.queries.where.made import Made, Some
from projections.queries.where.tree import Node

if TYPE_CHECKING:
    from projections.queries.where.builder import Builder

_ROWS: Final = {
    "any_step": ("steps", False),
    "all_steps": ("steps", True),
    "any_tool": ("tool_calls", False),
    "all_tools": ("tool_calls", True),
}
"""Questions about the rows of a run: their table, and whether all of them must meet it."""


class Calls:
    """Rebuilds the calls of one expression."""

    def __init__(self, builder: "Builder") -> None:
        self._builder = builder

    def build(self, node: Node, table: str) -> Made:
        """Return a call rebuilt."""
        name = node["function_name"].lower()
        arguments = self._plain_arguments(node)
        if name in _ROWS:
            return self._rows(name, node, arguments, table)
        if name in SECONDS:
            return self._interval(name, node, arguments)
        if name in ARITHMETIC and node["is_operator"]:
            return self._arithmetic(name, node, arguments, table)
        if name == "number":
            (text,) = self._arguments(name, node, arguments, (Kind.TEXT,), table)
            return Made(Kind.NUMBER, tree.double(self._builder.node(text), or_null=True))
        if name == "date_part":
            return self._date_part(node, arguments, table)
        if name == "percentile":
            raise self._builder.refusal(
                "expected percentile(duration) >= 95 as a condition of its own, joined to all "
                "others by AND",
                node,
            )
        if name not in FUNCTIONS:
            near = get_close_matches(name, KNOWN, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise self._builder.refusal(
                f"the function {name[:60]!r} is not part of the filter language{hint}", node
            )
        return self._function(name, node, arguments, table)

    def _plain_arguments(self, node: Node) -> list[Node]:
        arguments = node["arguments"]
        if (
            node["schema"]
            or node["catalog"]
            or len(node["qualified_name"]["path"]) != 1
            or node["filter"]
            or node["distinct"]
            or node["export_state"]
            or node["order_bys"]["orders"]
            or any(argument["name"] for argument in arguments)
        ):
            raise self._builder.refusal(
                f"{node['function_name'][:60]}: expected a name and plain arguments", node
            )
        return [argument["expression"] for argument in arguments]

    def _arguments(
        self, name: str, node: Node, arguments: Sequence[Node], kinds: Sequence[Kind], table: str
    ) -> list[Made]:
        self._expect_count(name, node, arguments, len(kinds))
        return [
            self._builder.wanted(kind, argument, table)
            for kind, argument in zip(kinds, arguments, strict=True)
        ]

    def _expect_count(self, name: str, node: Node, arguments: Sequence[Node], count: int) -> None:
        if len(arguments) != count:
            raise self._builder.refusal(
                f"{name}: expected {count} argument{'s' * (count != 1)}, found {len(arguments)}",
                node,
            )

    def _rows(self, name: str, node: Node, arguments: Sequence[Node], table: str) -> Made:
        if table != "runs":
            raise self._builder.refusal(
                f"{name}: expected it outside of any_step and any_tool", node
            )
        self._expect_count(name, node, arguments, 1)
        other, every = _ROWS[name]
        condition = self._builder.condition(arguments[0], other)
        if every:
            # All rows meet it if none does not; one for which it is unknown does not.
            known = tree.operator("OPERATOR_COALESCE", condition, tree.FALSE)
            condition = tree.operator("OPERATOR_NOT", known)
        return Made(Kind.BOOL, some=Some(other, (condition,), negated=every))

    def _interval(self, name: str, node: Node, arguments: Sequence[Node]) -> Made:
        self._expect_count(name, node, arguments, 1)
        inner = arguments[0]
        while inner["class"] != "CONSTANT":
            # DuckDB puts CAST(trunc(CAST(2 AS DOUBLE)) AS INTEGER) around the number.
            if inner["class"] == "CAST":
                inner = inner["child"]
            elif inner["class"] == "FUNCTION" and inner["function_name"] == "trunc":
                inner = inner["arguments"][0]["expression"]
            else:
                raise self._builder.refusal("expected an interval with a constant number", node)
        try:
            count = literals.number(str(inner["literal"].get("text")))
            span = literals.expect_short(timedelta(seconds=count * SECONDS[name]))
        except (ValueError, OverflowError):
            raise self._builder.refusal(
                "expected an interval of a hundred years at most", node
            ) from None
        return self._builder.constant(span, Kind.SPAN)

    def _arithmetic(self, name: str, node: Node, arguments: Sequence[Node], table: str) -> Made:
        made = [self._builder.build(argument, table) for argument in arguments]
        kinds = [part.kind for part in made]
        nodes = [self._builder.node(part) for part in made]
        if set(kinds) <= {Kind.NUMBER} and len(made) in (1, 2):
            # Of doubles, which cannot overflow; an error would tell of a row.
            doubles = map(tree.double, nodes)
            return Made(Kind.NUMBER, tree.call(name, *doubles, sign=True))
        if name in "+-" and kinds == [Kind.TIME, Kind.SPAN] and made[0].constant:
            return Made(Kind.TIME, tree.call(name, *nodes, sign=True), constant=True)
        raise self._builder.refusal(
            f"{name}: expected numbers, or a constant time and an interval; found "
            f"{' and '.join(kind.value for kind in kinds)}",
            node,
        )

    def _date_part(self, node: Node, arguments: Sequence[Node], table: str) -> Made:
        kinds = (Kind.TEXT, Kind.TIME)
        part, time = self._arguments("date_part", node, arguments, kinds, table)
        name = str(part.value).lower()
        if not part.constant or name not in DATE_PARTS:
            raise self._builder.refusal(
                f"date_part: expected one of {', '.join(sorted(DATE_PARTS))}", arguments[0]
            )
        # Else it would be of the zone of the process that answers.
        zone = self._builder.constant("UTC", Kind.TEXT)
        at = tree.call("timezone", self._builder.node(zone), self._builder.node(time))
        self._builder.values[part.parameter] = name
        return Made(Kind.NUMBER, tree.call("date_part", self._builder.node(part), at))

    def _function(self, name: str, node: Node, arguments: Sequence[Node], table: str) -> Made:
        self._expect_count(name, node, arguments, len(FUNCTIONS[name][0].takes))
        made = [self._builder.build(argument, table) for argument in arguments]
        function = next((f for f in FUNCTIONS[name] if _takes(f, made)), None)
        if function is None:
            wanted = " or ".join(", ".join(kind for kind in f.takes) for f in FUNCTIONS[name])
            found = ", ".join(part.kind for part in made)
            raise self._builder.refusal(f"{name}: expected {wanted}; found {found}", node)
        for part, argument in list(zip(made, arguments, strict=True))[
            len(made) - function.constants :
        ]:
            if not part.constant or part.kind is Kind.NULL:
                raise self._builder.refusal(f"{name}: expected a constant", argument)
        if function.pattern:
            self._builder.pattern(
                str(made[-1].value) if name not in OPERATORS else "", arguments[-1]
            )
        nodes = [self._builder.node(part) for part in made]
        if name == "abs":
            nodes = [tree.double(nodes[0])]
        called = tree.call(function.named or name, *nodes, sign=name in OPERATORS)
        # `now()` is one time for the whole statement.
        return Made(function.returns, called, constant=name == "now")


def _takes(function: Function, made: Sequence[Made]) -> bool:
    return all(
        part.kind in (kind, Kind.NULL) for kind, part in zip(function.takes, made, strict=True)
    )
