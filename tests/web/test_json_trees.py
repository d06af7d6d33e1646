"""A value of JSON as a tree shows every value, or says how many it does not."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runledger.web.json_tree import DEEPEST, MOST, Node, tree, tree_of_text

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=60,
)


def shown(node: Node) -> Any:
    if node.kind == "object":
        return {child.key: shown(child) for child in node.children}
    if node.kind == "list":
        return [shown(child) for child in node.children]
    return node.text if node.kind == "text" else json.loads(node.text)


def size(node: Node) -> int:
    return 1 + sum(size(child) for child in node.children)


@given(VALUES)
def test_a_tree_says_all_of_a_value(value: Any) -> None:
    assert shown(tree(value)) == value


@given(st.integers(MOST, 3 * MOST))
def test_values_that_are_left_out_are_counted(number: int) -> None:
    made = tree({"before": [1, 2], "long": list(range(number)), "after": 3})
    assert size(made) == MOST + 1
    left_out = made.left_out + sum(child.left_out for child in made.children)
    assert size(made) + left_out == 1 + 3 + 2 + number


@pytest.mark.usefixtures("no_collection")
def test_a_value_that_lies_very_deep_is_counted_where_the_tree_ends() -> None:
    value: Any = "bottom"
    for _ in range(900):
        value = [value]
    node = tree(value)
    for _ in range(DEEPEST):
        (node,) = node.children
    assert (node.children, node.left_out) == ([], 1)


@pytest.mark.usefixtures("no_collection")
def test_only_an_object_or_a_list_of_json_is_a_tree() -> None:
    found = tree_of_text('{"a": [1]}', 100)
    assert found is not None
    assert shown(found) == {"a": [1]}
    for text in ("", "12", '"a"', "{", "[1, ", "{}", "[" * 10_000, "nothing"):
        assert tree_of_text(text, 20_000) is None
    assert tree_of_text("[1, 2]", 3) is None
