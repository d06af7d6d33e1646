"""A value of JSON as a tree that is folded and unfolded; a very large one is cut, and says so."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

MOST: Final = 400
"""Values of one tree: more would make the page of a long run slow."""
DEEPEST: Final = 24
_LONGEST: Final = 4_000


@dataclass(slots=True)
class Node:
    """A value: `key` is its name or number in the value around it, `kind` how it is written.

    An object and a list have `children`; `left_out` of them are not shown. `text` is what any other
    value says, and the number of values of an object or a list.
    """

    key: str | None
    kind: str
    text: str
    children: list["Node"] = field(default_factory=list)
    left_out: int = 0


def tree(value: Any) -> Node:
    """Return the tree of a value.

    Parameters:
        value: of JSON: None, a truth value, a number, a text, a list or an object.
    """
    return _node(None, value, iter(range(MOST)), 0)


def tree_of_text(text: str, longest: int) -> Node | None:
    """Return the tree of a text of JSON; None if it is not an object or a list, or is too long."""
    if text[:1] not in ("{", "[") or len(text) > longest:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return tree(value) if isinstance(value, dict | list) and value else None


def _node(key: str | None, value: Any, budget: Iterator[int], depth: int) -> Node:
    if isinstance(value, dict):
        items: Iterable[tuple[str, Any]] = value.items()
        node = Node(key, "object", f"{len(value):,}")
    elif isinstance(value, list | tuple):
        items = ((str(place), one) for place, one in enumerate(value))
        node = Node(key, "list", f"{len(value):,}")
    else:
        return _leaf(key, value)
    if depth < DEEPEST:
        for (name, one), _ in zip(items, budget, strict=False):
            node.children.append(_node(name, one, budget, depth + 1))
    node.left_out = len(value) - len(node.children)
    return node


def _leaf(key: str | None, value: Any) -> Node:
    if not isinstance(value, str):
        return Node(key, "word", json.dumps(value))
    if len(value) <= _LONGEST:
        return Node(key, "text", value)
    return Node(key, "text", f"{value[:_LONGEST]}… ({len(value):,} characters)")
