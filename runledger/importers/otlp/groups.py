"""Which spans of a trace are one run: the outermost agent, workflow or chain, and what is below."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from runledger.importers.otlp.conventions import Kind
from runledger.importers.otlp.trace import Node

SLACK_NS: Final = 1_000_000_000
"""By how much the clocks of two processes may differ."""


@dataclass(slots=True)
class Group:
    """The spans of a run. `key` is the id of the span that is the run, even if it never came.

    `head` is that span, None if it is missing: then the end of the run is unknown.
    `run_id` is set if the run is one that is recorded, whose own span is no longer kept.
    """

    key: str
    head: Node | None
    run_id: str = ""
    nodes: list[Node] = field(default_factory=list)

    @property
    def start_ns(self) -> int:
        """When the run began."""
        return self.head.span.start_ns if self.head else min(n.span.start_ns for n in self.nodes)

    @property
    def end_ns(self) -> int:
        """When the run ended; never before it began."""
        if self.head is not None:
            return max(self.head.span.end_ns, self.head.span.start_ns)
        return max(max(n.span.end_ns, n.span.start_ns) for n in self.nodes)


def groups(nodes: Sequence[Node]) -> list[Group]:
    """Return the runs of a trace, in the order of time; a trace without any has none.

    nodes: every span after its parent.
    """
    boundaries = [node for node in nodes if node.boundary is node]
    parts: dict[str, list[Node]] = {}
    for node in nodes:
        parts.setdefault(node.top.span.span_id, []).append(node)
    around = {top: _around(part, boundaries) for top, part in parts.items()}
    found: dict[str, Group] = {}
    for node in nodes:
        head = _head(node, boundaries, around)
        if isinstance(head, Node):
            group = found.setdefault(head.span.span_id, Group(head.span.span_id, head))
        elif head is None:
            continue
        else:
            group = found.setdefault(head, Group(head, None))
        group.nodes.append(node)
    for group in found.values():
        group.nodes.sort(key=lambda node: node.order)
    kept = [group for group in found.values() if any(n.kind is not Kind.OTHER for n in group.nodes)]
    return sorted(kept, key=lambda group: (group.start_ns, group.key))


def _head(
    node: Node, boundaries: Sequence[Node], around: dict[str, Node | None]
) -> Node | str | None:
    """Return the span that is the node's run, the id of a missing one, or None for no run."""
    top = node.top
    found = around[top.span.span_id]
    if found is not None:
        return found
    if node.boundary is not None:
        return node.boundary
    if top.orphan:
        # Spans whose parent is on its way, or lost, belong together by its id.
        return top.span.parent_id
    if len(boundaries) == 1:
        return boundaries[0]
    return top


def _around(part: Sequence[Node], boundaries: Sequence[Node]) -> Node | None:
    """Return the run that a part without a root belongs to: the only one around it in time."""
    top = part[0].top
    if not top.orphan:
        return None
    begin = min(node.span.start_ns for node in part)
    end = max(max(node.span.end_ns, node.span.start_ns) for node in part)
    holding = [
        one
        for one in boundaries
        if one.top is not top
        and one.span.start_ns - SLACK_NS <= begin
        and end <= one.span.end_ns + SLACK_NS
    ]
    if len(holding) != 1:
        return None
    # Two parts without roots that lie around each other are two runs.
    return None if holding[0].top.orphan and part[0].boundary is not None else holding[0]
