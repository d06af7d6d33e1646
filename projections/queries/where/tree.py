"""DuckDB's syntax tree: the only module that knows the names of its fields.

The tree is no interface that DuckDB promises to keep, so `expect_understood` compares what this
version makes of a known condition with what the language reads, before anything is read.
"""

import json
import threading
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import duckdb

from projections.files.duckdb_connection import connect
from runledger.errors import InvalidExpression
from runledger.sql_file import fill, statements

SQL: Final = statements(Path(__file__).with_name("where.sql"))
Node = dict[str, Any]
_BEFORE: Final = len(SQL["frame"].partition("{condition}")[0])
_NOWHERE: Final = 2**64 - 1
"""The place of a node that DuckDB made by itself."""


class Parser:
    """DuckDB's parser on a database in memory that has no tables; for one thread at a time."""

    def __init__(self) -> None:
        self._db = connect(threads=1, enable_external_access=False)
        self._lock = threading.Lock()

    def statement(self, text: str) -> Node:
        """Return the tree of one SELECT of the product's own."""
        return self._tree(text)

    def condition(self, text: str) -> Node:
        """Return the tree of a condition; raise InvalidExpression for anything else."""
        tree = self._tree(fill(SQL["frame"], condition=text), text)
        plain = self._tree(fill(SQL["frame"], condition="true"))
        if len(tree["statements"]) != 1:
            raise InvalidExpression("expected one condition, found several statements", text)
        made: Node | None = select(tree).pop("where_clause", None)
        select(plain).pop("where_clause")
        # A closed parenthesis, a parameter or an ORDER BY: what is around the condition differs.
        if made is None or _without_places(tree) != _without_places(plain):
            raise InvalidExpression("expected one condition, found more than that", text)
        return made

    def text(self, tree: Node) -> str:
        """Return the statement of a tree."""
        return str(self._one("text", tree=json.dumps(tree)))

    def expect_pattern(self, pattern: str) -> None:
        """Raise ValueError if a regular expression cannot be used."""
        try:
            self._one("probe", pattern=pattern)
        except duckdb.Error as e:
            raise ValueError(str(e).partition("\n")[0]) from None

    def _tree(self, statement: str, condition: str = "") -> Node:
        tree: Node = json.loads(self._one("tree", statement=statement))
        if tree["error"]:
            if not condition:
                raise InvalidExpression(str(tree["error_message"]))
            at = column_of(condition, int(tree.get("position") or 0))
            reason = str(tree["error_message"])
            if at is None:
                # The parser stopped at what is around the condition.
                at, reason = len(condition) + 1, "expected a whole condition, found its end"
            raise InvalidExpression(reason, condition, at)
        return tree

    def _one(self, name: str, **values: str) -> Any:
        with self._lock:
            ((found,),) = self._db.execute(SQL[name], values).fetchall()
        return found


@cache
def parser() -> Parser:
    """Return the parser of this process."""
    return Parser()


def select(tree: Node) -> Node:
    """Return the SELECT of a statement's tree."""
    node: Node = tree["statements"][0]["node"]
    return node


def subquery(condition: Node) -> Node:
    """Return the SELECT of the subquery of a condition `… IN (SELECT …)`."""
    node: Node = condition["subquery"]["node"]
    return node


def place_of(node: Node, text: str) -> int | None:
    """Return the column of the text, from 1, at which a node begins; None if it has no place."""
    first = min(_places(node), default=None)
    return None if first is None else column_of(text, first)


def column_of(text: str, place: int) -> int | None:
    """Return the column, from 1, of a place that DuckDB counts in bytes of the framed text."""
    data = text.encode()
    offset = place - _BEFORE
    if not 0 <= offset <= len(data):
        return None
    return len(data[:offset].decode(errors="ignore")) + 1


def _places(node: Any) -> Iterator[int]:
    # All of them, as an operator's own place is its sign and not the beginning of its left side.
    if isinstance(node, dict):
        if node.get("query_location", _NOWHERE) != _NOWHERE:
            yield node["query_location"]
        node = list(node.values())
    if isinstance(node, list):
        for one in node:
            yield from _places(one)


def _without_places(node: Any) -> Any:
    if isinstance(node, dict):
        return {
            name: _without_places(value)
            for name, value in node.items()
            if not name.startswith("query_location")
        }
    return [_without_places(one) for one in node] if isinstance(node, list) else node


def column(name: str) -> Node:
    """Return a reference to a column."""
    return {"class": "COLUMN_REF", "type": "COLUMN_REF", "column_names": [name]}


def parameter(name: str) -> Node:
    """Return a reference to a parameter."""
    return {"class": "PARAMETER", "type": "VALUE_PARAMETER", "identifier": name}


def constant(kind: str, text: str | None = None) -> Node:
    """Return one of the language's own constants: NULL, true or false."""
    literal = {"kind": kind} if text is None else {"kind": kind, "text": text}
    return {"class": "CONSTANT", "type": "VALUE_CONSTANT", "literal": literal}


NULL: Final = constant("NULL_LITERAL")
FALSE: Final = constant("BOOLEAN", "false")


def joined(word: str, nodes: Sequence[Node]) -> Node:
    """Return conditions joined by AND or OR."""
    kind = f"CONJUNCTION_{word}"
    return {"class": "CONJUNCTION", "type": kind, "children": list(nodes)}


def operator(kind: str, *nodes: Node) -> Node:
    """Return an operator such as OPERATOR_NOT."""
    return {"class": "OPERATOR", "type": kind, "children": list(nodes)}


def comparison(kind: str, left: Node, right: Node) -> Node:
    """Return a comparison of two values."""
    return {"class": "COMPARISON", "type": kind, "left": left, "right": right}


def between(value: Node, lower: Node, upper: Node) -> Node:
    """Return `value BETWEEN lower AND upper`."""
    return {
        "class": "BETWEEN",
        "type": "COMPARE_BETWEEN",
        "input": value,
        "lower": lower,
        "upper": upper,
    }


def call(name: str, *arguments: Node, sign: bool = False) -> Node:
    """Return the call of a function; `sign` says that it is written between its arguments."""
    return {
        "class": "FUNCTION",
        "type": "FUNCTION",
        "function_name": name,
        "is_operator": sign,
        "arguments": [{"name": "", "expression": one} for one in arguments],
        "qualified_name": {"path": [name]},
        "order_bys": {"type": "ORDER_MODIFIER", "orders": []},
    }


def double(node: Node, *, or_null: bool = False) -> Node:
    """Return a value as a double; `or_null` makes NULL of a text that is no number."""
    return {
        "class": "CAST",
        "type": "OPERATOR_CAST",
        "child": node,
        "try_cast": or_null,
        "type_expr": {
            "class": "TYPE",
            "type": "TYPE",
            "type_name": "DOUBLE",
            "qualified_name": {"path": ["DOUBLE"]},
        },
    }
