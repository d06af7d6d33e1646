"""The tools that ran in a run: a call and a return for each, once."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from runledger.importers.otlp.conventions import Kind
from runledger.importers.otlp.reading import Reader
from runledger.importers.otlp.trace import Node


class ToolRun(NamedTuple):
    """A tool that ran; `call_id` is the model's, or the span's where there is none."""

    node: Node
    name: str
    call_id: str
    arguments: str
    result: str | None
    failed: bool


def tool_runs(nodes: Sequence[Node], reader: Reader) -> Iterator[ToolRun]:
    """Yield the tools of a run's spans, given in the order of time.

    A tool span right below one of the same name or call id is the same call: the client of a
    protocol in the agent's own span. So is one with a call id that came before: a durable engine
    repeats it.
    """
    seen: set[str] = set()
    for node in nodes:
        if node.kind is not Kind.TOOL:
            continue
        named = reader.fact(node.span, "tool_call_id")
        above = node.above
        if above is not None and above.kind is Kind.TOOL:
            if tool_name(node, reader) == tool_name(above, reader):
                continue
            if named is not None and named == reader.fact(above.span, "tool_call_id"):
                continue
        call_id = named or node.span.span_id
        if call_id in seen:
            continue
        seen.add(call_id)
        yield ToolRun(
            node,
            tool_name(node, reader),
            call_id,
            reader.content(node.span, "tool_arguments") or "{}",
            reader.content(node.span, "tool_result"),
            node.span.failed or reader.error(node.span) is not None,
        )


def tool_name(node: Node, reader: Reader) -> str:
    """Return the name of the tool that a span ran."""
    named = reader.fact(node.span, "tool_name")
    return named or node.span.name.removeprefix("execute_tool ").removesuffix(".tool") or "?"
