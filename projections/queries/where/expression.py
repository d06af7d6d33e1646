"""A filter expression that was read: its condition, its parameters, and its percentile."""

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Final

from projections.queries.where import tree
from projections.queries.where.builder import Builder
from projections.queries.where.tree import Node
from runledger.errors import InvalidExpression, ReadModelsError

MOST_CHARACTERS: Final = 8_000
_PERCENTILE: Final = "percentile(duration) >= 95"


@dataclass(frozen=True, slots=True)
class Expression:
    """`condition` is its rebuilt tree as JSON, None if it is nothing but a percentile.

    `values` are the parameters of the condition. `percentile` keeps the runs at least as slow as
    that percentile of those that the condition leaves. `assumed_utc` are the times without a zone.
    `asks_costs` says that the condition reads what runs cost.
    """

    condition: str | None
    values: Mapping[str, Any]
    percentile: float | None
    assumed_utc: Sequence[str]
    asks_costs: bool


@lru_cache(maxsize=256)
def read(text: str) -> Expression:
    """Return an expression that was read.

    Parameters:
        text: a condition on runs in DuckDB's SQL, of 8,000 characters at most.

    Raises:
        InvalidExpression: if it is not in the language; the message names the place.
        ReadModelsError: if this version of DuckDB writes syntax trees of another form.
    """
    if len(text) > MOST_CHARACTERS:
        raise InvalidExpression(
            f"expected {MOST_CHARACTERS:,} characters at most, found {len(text):,}"
        )
    if any(char == "\0" or "\ud800" <= char <= "\udfff" for char in text):
        raise InvalidExpression("expected text without zero characters and half surrogate pairs")
    expect_understood()
    return _read(text)


def _read(text: str) -> Expression:
    builder = Builder(text)
    try:
        rest, percentile = _without_percentile(tree.parser().condition(text), builder)
        condition = None if rest is None else json.dumps(builder.condition(rest))
    except RecursionError:
        raise InvalidExpression("expected fewer levels, found too many", text) from None
    except (KeyError, TypeError, AttributeError) as e:
        # A part of the tree that no condition of `expect_understood` has: never guessed.
        raise InvalidExpression(
            f"a part of it is not part of the filter language ({type(e).__name__}: {e})", text
        ) from e
    return Expression(
        condition, builder.values, percentile, builder.assumed_utc, builder.asks_costs
    )


@cache
def expect_understood() -> None:
    """Raise ReadModelsError if this version of DuckDB writes syntax trees of another form."""
    try:
        _read(tree.SQL["understood"])
    except InvalidExpression as e:
        import duckdb

        raise ReadModelsError(
            f"where: expected the syntax trees of DuckDB 2.0, found others in version "
            f"{duckdb.__version__}: filter expressions are turned off, and all other filters work; "
            f"install the version that constraints.txt names ({e.reason})"
        ) from e


@lru_cache(maxsize=256)
def narrowed(conditions: str, condition: str | None) -> str:
    """Return a WHERE clause with the condition of an expression beside the product's own.

    Parameters:
        conditions: the product's own conditions, a WHERE clause on runs.
        condition: the rebuilt tree of an expression, None for no more.
    """
    if condition is None:
        return conditions
    parser = tree.parser()
    select = tree.SQL["runs"]
    whole = parser.statement(select + conditions)
    node = tree.select(whole)
    both: list[Node] = [node["where_clause"], json.loads(condition)]
    node["where_clause"] = tree.joined("AND", both)
    # DuckDB writes the whole clause from the tree, in which the organization is a condition of
    # its own: no text of an expression can end it.
    return parser.text(whole).removeprefix(select)


def _without_percentile(condition: Node, builder: Builder) -> tuple[Node | None, float | None]:
    """Return the condition without a percentile that is joined to the rest of it by AND."""
    conjuncts = [condition]
    is_and = condition["type"] == "CONJUNCTION_AND"
    if is_and:
        conjuncts = condition["children"]
    found = [one for one in conjuncts if _is_percentile(one)]
    if not found:
        return condition, None
    if len(found) > 1:
        raise builder.refusal("expected one percentile, found several", found[1])
    percentile = _percentile(found[0], builder)
    rest = [one for one in conjuncts if one is not found[0]]
    if len(rest) < 2:
        return (rest[0] if rest else None), percentile
    left = copy.copy(condition)
    left["children"] = rest
    return left, percentile


def _is_percentile(node: Node) -> bool:
    if node["class"] != "COMPARISON" or node["left"]["class"] != "FUNCTION":
        return False
    name: str = node["left"]["function_name"]
    return name.lower() == "percentile"


def _percentile(node: Node, builder: Builder) -> float:
    left, right = node["left"], node["right"]
    of = [one["expression"] for one in left["arguments"]]
    named = [name.lower() for one in of for name in one.get("column_names", ())]
    is_duration = len(of) == 1 and named in (["duration"], ["run_ns"])
    if node["type"] != "COMPARE_GREATERTHANOREQUALTO" or not is_duration:
        raise builder.refusal(f"expected {_PERCENTILE}", node)
    number = right.get("literal", {})
    if number.get("kind") not in ("INTEGER", "NUMERIC") or not 0 <= float(number["text"]) <= 100:
        raise builder.refusal("expected a percentile from 0 to 100", right)
    return float(number["text"])
