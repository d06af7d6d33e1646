"""Rebuilds a condition node by node: nothing of the given tree or text gets into the statement.

What can fail on a row, such as the cast of a column, is not in the language: neither an error nor
its text can then tell anything about the rows of another organization.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from difflib import get_close_matches
from typing import Any, Final

from projections.queries.where import literals, tree
from projections.queries.where.calls import Calls
from projections.queries.where.columns import COSTS, TABLES, Kind, columns
from projections.queries.where.made import Made, Some, Word, merged, sum_of_costs
from projections.queries.where.tree import Node
from runledger.errors import InvalidExpression

MOST_NODES: Final = 1_000
MOST_DEEP: Final = 60
MOST_PATTERNS: Final = 8
MOST_KEYS: Final = 16
MOST_SUBQUERIES: Final = 2
"""Questions about steps, and as many about tool calls, that cannot be asked in one."""

_COMPARED: Final = {
    "COMPARE_EQUAL": True,
    "COMPARE_NOTEQUAL": True,
    "COMPARE_DISTINCT_FROM": True,
    "COMPARE_NOT_DISTINCT_FROM": True,
    "COMPARE_LESSTHAN": False,
    "COMPARE_GREATERTHAN": False,
    "COMPARE_LESSTHANOREQUALTO": False,
    "COMPARE_GREATERTHANOREQUALTO": False,
}
"""Comparisons, and whether they ask for equality: then a value of a known list must be in it."""
_COSTS: Final = "step_costs"
_WITH_NULL: Final = ("COMPARE_DISTINCT_FROM", "COMPARE_NOT_DISTINCT_FROM")
_TIMES: Final = frozenset({"TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE", "TIMESTAMP", "DATE"})


class Builder:
    """Rebuilds one expression; `values` are its constants, by the names of their parameters."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.values: dict[str, Any] = {}
        self.assumed_utc: list[str] = []
        self._nodes = 0
        self._patterns = 0
        self._keys = 0
        self._subqueries: Counter[str] = Counter()
        self._depth = 0
        self._calls = Calls(self)

    def refusal(self, reason: str, node: Node | None = None) -> InvalidExpression:
        """Return the error of a node."""
        at = None if node is None else tree.place_of(node, self.text)
        return InvalidExpression(reason, self.text, at)

    def condition(self, node: Node, table: str = "runs") -> Node:
        """Return a rebuilt condition on a table."""
        made = self.build(node, table)
        if made.kind is not Kind.BOOL:
            raise self.refusal(f"expected a condition, found {_a(made.kind)}", node)
        return self.node(made)

    def node(self, made: Made) -> Node:
        """Return the node of a part."""
        if made.some is not None:
            self._questions(made.some.table)
            return made.some.node()
        assert made.node is not None
        return made.node

    @property
    def asks_costs(self) -> bool:
        """Whether a part that was built reads what runs cost."""
        return self._subqueries[_COSTS] > 0

    def _questions(self, table: str) -> None:
        """Count a question about another table, and refuse one too many."""
        self._subqueries[table] += 1
        if self._subqueries[table] > MOST_SUBQUERIES:
            raise self.refusal(
                f"expected at most {MOST_SUBQUERIES} separate questions about {table}; those "
                f"about steps or tool calls that are joined by AND count as one"
            )

    def constant(self, value: Any, kind: Kind) -> Made:
        """Return a constant, which is a parameter."""
        name = f"w{len(self.values)}"
        self.values[name] = value
        return Made(kind, tree.parameter(name), constant=True, value=value, parameter=name)

    def build(self, node: Node, table: str) -> Made:
        """Return a node rebuilt; raise InvalidExpression for what is not in the language."""
        self._nodes += 1
        self._depth += 1
        if self._nodes > MOST_NODES or self._depth > MOST_DEEP:
            raise self.refusal(
                f"expected at most {MOST_NODES} parts and {MOST_DEEP} levels, found more", node
            )
        made = self._build(node, table)
        self._depth -= 1
        return made

    def _build(self, node: Node, table: str) -> Made:
        match node["class"], node["type"]:
            case "CONSTANT", "VALUE_CONSTANT":
                return self._literal(node)
            case "COLUMN_REF", "COLUMN_REF":
                return self._column(node, table)
            case "CONJUNCTION", "CONJUNCTION_AND":
                return self._joined(node, table, "AND")
            case "CONJUNCTION", "CONJUNCTION_OR":
                return self._joined(node, table, "OR")
            case "COMPARISON", kind if kind in _COMPARED:
                left, right = self._alike(
                    [node["left"], node["right"]],
                    table,
                    known=_COMPARED[kind],
                    nulls=kind in _WITH_NULL,
                )
                return Made(Kind.BOOL, tree.comparison(kind, left, right))
            case "BETWEEN", "COMPARE_BETWEEN":
                parts = [node["input"], node["lower"], node["upper"]]
                return Made(Kind.BOOL, tree.between(*self._alike(parts, table)))
            case "OPERATOR", "OPERATOR_IS_NULL" | "OPERATOR_IS_NOT_NULL" as kind:
                value = self.build(node["children"][0], table)
                return Made(Kind.BOOL, tree.operator(kind, self.node(value)))
            case "OPERATOR", "OPERATOR_NOT":
                return self._negated(self.wanted(Kind.BOOL, node["children"][0], table))
            case "OPERATOR", "COMPARE_IN" | "COMPARE_NOT_IN" as kind:
                parts = self._alike(node["children"], table, known=True)
                return Made(Kind.BOOL, tree.operator(kind, *parts))
            case "OPERATOR", "OPERATOR_COALESCE":
                made = self._of_one_kind(node["children"], table, nulls=True)
                kind = next((part.kind for part in made if part.kind is not Kind.NULL), Kind.NULL)
                return Made(kind, tree.operator("OPERATOR_COALESCE", *map(self.node, made)))
            case "CAST", "OPERATOR_CAST":
                return self._cast(node, table)
            case "FUNCTION", "FUNCTION":
                return self._calls.build(node, table)
        raise self.refusal(f"{_named(node)} is not part of the filter language", node)

    def wanted(self, kind: Kind, node: Node, table: str) -> Made:
        """Return a node rebuilt, which must be of a kind, or NULL."""
        made = self.build(node, table)
        if made.kind not in (kind, Kind.NULL):
            raise self.refusal(f"expected {_a(kind)}, found {_a(made.kind)}", node)
        return made

    def pattern(self, pattern: str, node: Node) -> None:
        """Count a pattern, and refuse one that cannot be used or is one too many."""
        self._patterns += 1
        if self._patterns > MOST_PATTERNS:
            raise self.refusal(f"expected at most {MOST_PATTERNS} patterns, found more", node)
        try:
            tree.parser().expect_pattern(pattern)
        except ValueError as e:
            raise self.refusal(f"expected a regular expression: {e}", node) from None

    def _joined(self, node: Node, table: str, word: Word) -> Made:
        parts = [self.wanted(Kind.BOOL, child, table) for child in node["children"]]
        left = merged(parts, word)
        if len(left) == 1:
            return left[0]
        return Made(Kind.BOOL, tree.joined(word, [self.node(part) for part in left]))

    def _negated(self, made: Made) -> Made:
        if made.some is not None:
            some = made.some
            return Made(Kind.BOOL, some=Some(some.table, some.conditions, not some.negated))
        return Made(Kind.BOOL, tree.operator("OPERATOR_NOT", self.node(made)))

    def _literal(self, node: Node) -> Made:
        kind, text = node["literal"]["kind"], node["literal"].get("text")
        match kind:
            case "NULL_LITERAL":
                return Made(Kind.NULL, tree.NULL, constant=True)
            case "STRING":
                return self.constant(str(text), Kind.TEXT)
            case "BOOLEAN":
                return self.constant(text == "true", Kind.BOOL)
            case "INTEGER" | "NUMERIC":
                try:
                    return self.constant(literals.number(str(text)), Kind.NUMBER)
                except ValueError as e:
                    raise self.refusal(str(e), node) from None
        raise self.refusal("a constant of this kind is not part of the filter language", node)

    def _column(self, node: Node, table: str) -> Made:
        names: list[str] = node["column_names"]
        known = columns(table)
        found = known.get(names[0].lower())
        if found is not None and found.kind is Kind.JSON:
            if len(names) == 1:
                raise self.refusal(f"expected a key, such as {names[0]}.team", node)
            return self._key(found.name, names[1:], node)
        if found is None or len(names) != 1:
            raise self._unknown(".".join(names), table, node)
        if table == "runs" and found.name in COSTS:
            self._questions(_COSTS)
            return Made(found.kind, sum_of_costs(found.name), column=found)
        return Made(found.kind, tree.column(found.name), column=found)

    def _key(self, column: str, path: Sequence[str], node: Node) -> Made:
        self._keys += 1
        if self._keys > MOST_KEYS:
            raise self.refusal(f"expected at most {MOST_KEYS} keys of metadata, found more", node)
        # A JSON pointer (RFC 6901), as a key in it is nothing but a key.
        pointer = "".join("/" + name.replace("~", "~0").replace("/", "~1") for name in path)
        value = self.constant(pointer, Kind.TEXT)
        text = tree.call("json_extract_string", tree.column(column), self.node(value))
        return Made(Kind.TEXT, text)

    def _unknown(self, name: str, table: str, node: Node) -> InvalidExpression:
        near = get_close_matches(name.lower(), columns(table), n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        others = [other for other in TABLES if name.lower() in columns(other)]
        if table == "runs" and others:
            which = "any_step" if others[0] == "steps" else "any_tool"
            hint = f"; {others[0]} have it: {which}({name} …)"
        return self.refusal(f"{table} have no column {name!r:.60}{hint}", node)

    def _cast(self, node: Node, table: str) -> Made:
        child, to = node["child"], node["type_expr"]["qualified_name"]["path"][-1].upper()
        if not node["try_cast"] and to == "BOOLEAN":
            # `x IS TRUE` is made of a cast, which does nothing to a condition.
            return self.wanted(Kind.BOOL, child, table)
        if not node["try_cast"] and child["class"] == "CONSTANT":
            text = str(child["literal"].get("text") or "")
            if to in _TIMES:
                return self.constant(self._moment(text, node), Kind.TIME)
            if to == "INTERVAL":
                return self.interval(text, node)
        raise self.refusal(
            "a cast is not part of the filter language, except of a constant time", node
        )

    def interval(self, text: str, node: Node) -> Made:
        """Return a constant interval of its text."""
        try:
            return self.constant(literals.interval(text), Kind.SPAN)
        except ValueError as e:
            raise self.refusal(str(e), node) from None

    def _moment(self, text: str, node: Node) -> Any:
        try:
            value, assumed = literals.moment(text)
        except ValueError as e:
            raise self.refusal(str(e), node) from None
        if assumed:
            self.assumed_utc.append(text)
        return value

    def _alike(
        self, nodes: Sequence[Node], table: str, *, known: bool = False, nulls: bool = False
    ) -> list[Node]:
        made = self._of_one_kind(nodes, table, nulls=nulls)
        if known:
            self._expect_known(made, nodes)
        return [self.node(part) for part in made]

    def _of_one_kind(self, nodes: Sequence[Node], table: str, *, nulls: bool) -> list[Made]:
        made = [self.build(node, table) for node in nodes]
        kinds = {part.kind for part in made} - {Kind.NULL}
        if not nulls and any(part.kind is Kind.NULL for part in made):
            raise self.refusal("a comparison with NULL is never true: write IS NULL", nodes[-1])
        if kinds == {Kind.TIME, Kind.TEXT}:
            made = [self._as_time(part, node) for part, node in zip(made, nodes, strict=True)]
            kinds = {part.kind for part in made} - {Kind.NULL}
        if len(kinds) > 1 or kinds & {Kind.LIST, Kind.JSON}:
            raise self.refusal(f"cannot compare {_listed(made)}{_advice(kinds)}", nodes[0])
        if kinds == {Kind.SPAN}:
            for part in made:
                if isinstance(part.value, timedelta):
                    self.values[part.parameter] = literals.nanoseconds(part.value)
        return made

    def _as_time(self, made: Made, node: Node) -> Made:
        if made.kind is not Kind.TEXT or not made.constant:
            return made
        value = self._moment(made.value, node)
        self.values[made.parameter] = value
        return Made(Kind.TIME, made.node, constant=True, value=value, parameter=made.parameter)

    def _expect_known(self, made: Sequence[Made], nodes: Sequence[Node]) -> None:
        listed = next((p.column for p in made if p.column and p.column.values), None)
        if listed is None:
            return
        for part, node in zip(made, nodes, strict=True):
            if part.constant and part.kind is Kind.TEXT and part.value not in listed.values:
                near = get_close_matches(str(part.value), listed.values, n=1)
                hint = f"did you mean {near[0]}? " if near else ""
                raise self.refusal(
                    f"no {listed.name} is {part.value!r:.60}; {hint}expected one of "
                    f"{', '.join(listed.values)}",
                    node,
                )


def _a(kind: Kind) -> str:
    return kind.value if kind in (Kind.TEXT, Kind.NULL, Kind.JSON) else f"a{_n(kind)} {kind.value}"


def _n(kind: Kind) -> str:
    return "n" if kind is Kind.SPAN else ""


def _listed(made: Sequence[Made]) -> str:
    return " with ".join(dict.fromkeys(_a(part.kind) for part in made))


def _advice(kinds: set[Kind]) -> str:
    if Kind.SPAN in kinds:
        return "; write an interval such as INTERVAL 30 SECOND"
    if kinds == {Kind.TEXT, Kind.NUMBER}:
        return "; number(metadata.key) reads a key of metadata as a number"
    return "; list_contains(list, text) searches a list" if Kind.LIST in kinds else ""


def _named(node: Node) -> str:
    name = node["class"] if node["class"] == node["type"] else node["type"]
    return str(name).replace("_", " ").lower()
