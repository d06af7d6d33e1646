"""Which spans' numbers count: each number on at most one span of every path from root to leaf.

A call of a model is often reported by two libraries, one span in the other: of such a family, the
innermost spans that report usage count. Agents, chains and tools that report usage count only if
nothing below them does.
"""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Final, NamedTuple

from runledger.importers.otlp.conventions import Kind
from runledger.importers.otlp.trace import CALLS, Node

_CONTAINERS: Final = (Kind.RUN, Kind.TOOL)


class LeftOut(NamedTuple):
    """Numbers of a span that are counted elsewhere, or declared beside what is counted."""

    node: Node
    reason: str


@dataclass(frozen=True, slots=True)
class Counting:
    """`steps` are the spans that become steps, in the order of time.

    Those in `bare` become steps without numbers: what is above them was recorded with theirs
    before they came. `left_out` are spans whose numbers are not counted, and why. `twice` are spans
    that were recorded as steps before it was known that a span above, recorded as well, reports the
    same: the sum is too large by their numbers.
    """

    steps: list[Node]
    bare: Set[str]
    left_out: list[LeftOut]
    twice: list[Node]


def counted(
    nodes: Sequence[Node], recorded: Set[str] = frozenset(), beneath: Set[str] = frozenset()
) -> Counting:
    """Return which spans of a trace count.

    nodes: every span after its parent.
    recorded: ids of spans that were recorded as steps before; they count, since a recorded step is
        not changed, and what came later below them does not count again.
    beneath: ids of spans right below one that was recorded with counts, and is no longer kept.
    """
    steps = _calls(nodes, recorded)
    chosen = {node.span.span_id for node in steps}
    steps += _containers(nodes, chosen, recorded)
    chosen = {node.span.span_id for node in steps}
    bare = _bare(nodes, chosen, recorded, beneath)
    left = [
        LeftOut(node, _reason(node, node.span.span_id in bare))
        for node in nodes
        if node.counts.reported and (node.span.span_id not in chosen or node.span.span_id in bare)
    ]
    return Counting(
        sorted(steps, key=lambda node: node.order),
        bare,
        sorted(left, key=lambda one: one.node.order),
        _twice(nodes, recorded),
    )


def _calls(nodes: Sequence[Node], recorded: Set[str]) -> list[Node]:
    """Return the calls of models that are steps: of each family, the innermost with usage."""
    reported_below, repeats = _reported(nodes, recorded)
    # A wrapper that was recorded with its numbers stays the step of its call; so does its event.
    closed = {
        node.wrapper.span.span_id
        for node in nodes
        if node.record and node.wrapper and node.counts.reported and node.span.span_id in recorded
    }
    steps: list[Node] = []
    for node in nodes:
        if node.kind not in CALLS:
            continue
        span_id, wrapper = node.span.span_id, node.wrapper
        inside = wrapper is not None and wrapper.span.span_id in closed
        if span_id in recorded:
            steps.append(node)
            # One that was recorded without numbers leaves those below to count.
            if node.counts.reported:
                closed.add(span_id)
        elif inside or span_id in repeats:
            closed.add(span_id)
        elif span_id not in reported_below and (
            wrapper is None or wrapper.span.span_id in reported_below
        ):
            steps.append(node)
            closed.add(span_id)
    return steps


def _reported(nodes: Sequence[Node], recorded: Set[str]) -> tuple[Set[str], Set[str]]:
    """Return the calls below which usage is reported, and the log events that report it again.

    The event of a call is a span below it, but no call of its own: it counts if neither its span
    nor another below that reports usage, or if it was recorded before they came.
    """
    below: set[str] = set()
    repeats: set[str] = set()
    for node in reversed(nodes):
        span_id, above = node.span.span_id, node.wrapper
        if above is None or not (node.counts.reported or span_id in below):
            continue
        reported = above.counts.reported or above.span.span_id in below
        if node.record and reported and span_id not in recorded:
            repeats.add(span_id)
        else:
            below.add(above.span.span_id)
    return below, repeats


def _containers(nodes: Sequence[Node], chosen: Set[str], recorded: Set[str]) -> list[Node]:
    """Return the agents, chains and tools that report usage and have nothing counted below."""
    below: set[str] = set()
    found: list[Node] = []
    for node in reversed(nodes):
        span_id = node.span.span_id
        counts = span_id in chosen and node.counts.reported
        if node.kind in _CONTAINERS and (
            span_id in recorded or (node.counts.reported and span_id not in below)
        ):
            found.append(node)
            counts = True
        if (counts or span_id in below) and node.parent is not None:
            below.add(node.parent.span.span_id)
    return found


def _bare(
    nodes: Sequence[Node], chosen: Set[str], recorded: Set[str], beneath: Set[str]
) -> Set[str]:
    """Return the steps that came after the container above them was recorded with its numbers."""
    under = set(beneath)
    for node in nodes:
        parent = node.parent
        if parent is not None and (
            parent.span.span_id in under
            or (parent.kind in _CONTAINERS and parent.span.span_id in recorded)
        ):
            under.add(node.span.span_id)
    return {span_id for span_id in under if span_id in chosen and span_id not in recorded}


def _twice(nodes: Sequence[Node], recorded: Set[str]) -> list[Node]:
    """Return the recorded spans below one that was recorded with the same numbers."""
    families: set[str] = set()
    containers: set[str] = set()
    found = _events_twice(nodes, recorded)
    events = {node.span.span_id for node in found}
    for node in nodes:
        span_id = node.span.span_id
        wrapper, parent = node.wrapper, node.parent
        in_family = wrapper is not None and wrapper.span.span_id in families
        in_container = parent is not None and parent.span.span_id in containers
        own = span_id in recorded and node.counts.reported
        if own and (in_family or in_container) and span_id not in events:
            found.append(node)
        if in_family or (own and node.kind in CALLS):
            families.add(span_id)
        if in_container or (own and node.kind in _CONTAINERS):
            containers.add(span_id)
    return found


def _events_twice(nodes: Sequence[Node], recorded: Set[str]) -> list[Node]:
    """Return the recorded log events beside a recorded span that reports the same call."""
    below: set[str] = set()
    found: list[Node] = []
    for node in reversed(nodes):
        own = node.span.span_id in recorded and node.counts.reported
        if node.wrapper is None or not (own or node.span.span_id in below):
            continue
        if node.record and node.wrapper.span.span_id in below:
            found.append(node)
        else:
            below.add(node.wrapper.span.span_id)
    return found


def _reason(node: Node, bare: bool) -> str:
    if bare:
        return "an agent, chain or tool above was counted before this came"
    if node.kind in CALLS:
        return "the same call is counted at another span of its family"
    if node.kind in _CONTAINERS:
        return "what it declares is counted at spans below"
    return "no span of a known kind"
