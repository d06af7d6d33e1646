"""The spans of one trace as trees, each span with the nearest spans above that matter to it."""

from collections.abc import Iterable, Sequence
from typing import Final

from runledger.importers.otlp.conventions import Kind
from runledger.importers.otlp.reading import Counts, Reader
from runledger.importers.otlp.span import Span, distinct

CALLS: Final = (Kind.LLM, Kind.EMBEDDING)
"""Kinds of spans that are calls of a model."""


class Node:
    """A span in its tree.

    `above` is the nearest span above of a kind other than `other`; `agent` the nearest `run` span
    above or itself; `boundary` the outermost one; `wrapper` is `above` if both are calls of a
    model, that is, if both report the same call. `record` is whether it is a log event.
    """

    __slots__ = (
        "above",
        "agent",
        "boundary",
        "children",
        "counts",
        "kind",
        "parent",
        "record",
        "rule",
        "span",
        "top",
        "wrapper",
    )

    def __init__(self, span: Span, reader: Reader) -> None:
        self.record = reader.log(span) is not None
        self.span = span = reader.translated(span)
        self.kind, self.rule = reader.kind(span)
        self.counts: Counts = reader.counts(span)
        self.parent: Node | None = None
        self.children: list[Node] = []
        self.above: Node | None = None
        self.wrapper: Node | None = None
        self.agent: Node | None = None
        self.boundary: Node | None = None
        self.top: Node = self

    @property
    def order(self) -> tuple[int, str]:
        """The place among others: by time, then by id."""
        return self.span.start_ns, self.span.span_id

    @property
    def orphan(self) -> bool:
        """Whether it stands at the top although it has a parent: that one never came."""
        return self.parent is None and self.span.parent_id != ""

    def place(self) -> None:
        """Find what is above, of which all was placed before."""
        parent = self.parent
        if parent is not None:
            self.top = parent.top
            self.above = parent.above if parent.kind is Kind.OTHER else parent
            self.agent, self.boundary = parent.agent, parent.boundary
        if self.kind is Kind.RUN:
            self.agent = self
            self.boundary = self.boundary or self
        if self.kind in CALLS and self.above is not None and self.above.kind in CALLS:
            self.wrapper = self.above


def trees(spans: Iterable[Span], reader: Reader) -> Sequence[Node]:
    """Return the spans of one trace, every span after its parent; the same set, the same list."""
    nodes = {span.span_id: Node(span, reader) for span in distinct(spans)}
    for node in nodes.values():
        node.parent = nodes.get(node.span.parent_id)
    _cut_circles(nodes)
    for node in nodes.values():
        if node.parent is not None:
            node.parent.children.append(node)
    level = [node for node in nodes.values() if node.parent is None]
    placed: list[Node] = []
    while level:
        # Backwards, the log event of a call comes after the spans below that call.
        level.sort(key=lambda node: (not node.record, node.order))
        for node in level:
            node.place()
        placed += level
        level = [child for node in level for child in node.children]
    return placed


def _cut_circles(nodes: dict[str, Node]) -> None:
    """Take the parent away from one span of every circle: the one with the smallest id."""
    done: set[str] = set()
    for one in nodes.values():
        path: dict[str, None] = {}
        node: Node | None = one
        while node is not None and node.span.span_id not in done:
            if node.span.span_id in path:
                ids = list(path)
                circle = ids[ids.index(node.span.span_id) :]
                nodes[min(circle)].parent = None
                break
            path[node.span.span_id] = None
            node = node.parent
        done.update(path)
