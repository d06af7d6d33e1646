"""Traces of agents whose tokens are known, told in every dialect that the table has."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

from runledger.importers.otlp.span import Span

TRACE = "0af7651916cd43dd8448eb211c80319c"
DETAILS = "gen_ai.client.inference.operation.details"
BEGIN = 1_767_600_000_000_000_000

# One call as each dialect tells it: kind, names of the input and the output count.
CALLS: list[tuple[dict[str, Any], str, str]] = [
    ({"gen_ai.operation.name": "chat"}, "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"),
    (
        {"llm.request.type": "chat"},
        "gen_ai.usage.prompt_tokens",
        "gen_ai.usage.completion_tokens",
    ),
    (
        {"openinference.span.kind": "LLM"},
        "llm.token_count.prompt",
        "llm.token_count.completion",
    ),
    (
        {"ai.operationId": "ai.generateText.doGenerate"},
        "ai.usage.inputTokens",
        "ai.usage.outputTokens",
    ),
    (
        {"gen_ai.operation.name": "generate_content"},
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.output_tokens",
    ),
    (
        {"gen_ai.operation.name": "embeddings"},
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.output_tokens",
    ),
    ({"llm.request.type": "completion"}, "llm.usage.prompt_tokens", "llm.usage.completion_tokens"),
    (
        {"openinference.span.kind": "EMBEDDING"},
        "llm.token_count.prompt",
        "llm.token_count.completion",
    ),
    (
        {"ai.operationId": "ai.streamText.doStream"},
        "ai.usage.promptTokens",
        "ai.usage.completionTokens",
    ),
    ({"langsmith.span.kind": "llm"}, "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"),
    (
        {"gen_ai.system": "gemini", "gen_ai.request.model": "m"},
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.output_tokens",
    ),
]
AGENTS: list[dict[str, Any]] = [
    {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "a"},
    {"openinference.span.kind": "AGENT"},
    {"openinference.span.kind": "CHAIN"},
    {"traceloop.span.kind": "workflow", "traceloop.entity.name": "w"},
    {"gen_ai.operation.name": "invoke_workflow", "gen_ai.workflow.name": "w"},
    {"langsmith.span.kind": "chain"},
    {"ai.operationId": "ai.generateText"},
]
TOOLS: list[dict[str, Any]] = [
    {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "t"},
    {"openinference.span.kind": "TOOL", "tool.name": "t"},
    {"traceloop.span.kind": "tool", "traceloop.entity.name": "t"},
    {"ai.operationId": "ai.toolCall", "ai.toolCall.name": "t"},
    {"mcp.method.name": "tools/call", "gen_ai.tool.name": "t"},
]


@dataclass
class Made:
    """A trace and the tokens and calls that were put into it."""

    spans: list[Span] = field(default_factory=list)
    tokens: int = 0
    calls: int = 0

    def add(self, parent: str, attributes: dict[str, Any], event: str = "") -> str:
        number = len(self.spans) + 1
        span_id = f"{number:016x}"
        start_ns = BEGIN + number * 1_000_000
        self.spans.append(
            Span(
                TRACE,
                span_id,
                parent,
                event or f"span {number}",
                start_ns,
                start_ns + 5_000_000_000,
                attributes=attributes,
                record=bool(event),
            )
        )
        return span_id


@st.composite
def traces(draw: st.DrawFn) -> Made:
    """A run: agents in agents and tools, calls that up to three libraries and a log event tell."""
    made = Made()
    root = made.add("", draw(st.sampled_from(AGENTS)))
    _fill(draw, made, root, 3)
    return made


def _fill(draw: st.DrawFn, made: Made, parent: str, depth: int) -> int:
    """Put things below a span; return the tokens of all calls among them."""
    below = 0
    for _ in range(draw(st.integers(0 if depth < 3 else 1, 3))):
        what = draw(st.sampled_from(["call", "call", "agent", "tool", "http"]))
        if what == "call":
            below += _call(draw, made, parent)
        elif depth == 0 or what == "http":
            made.add(parent, {"http.method": "GET"})
        else:
            place = len(made.spans)
            kinds = AGENTS if what == "agent" else TOOLS
            inner = made.add(parent, draw(st.sampled_from(kinds)))
            within = _fill(draw, made, inner, depth - 1)
            below += within
            if within and draw(st.booleans()):
                _declare(made, place, within)
    return below


def _declare(made: Made, place: int, tokens: int) -> None:
    """Let an agent or a tool say what all calls below it used."""
    span = made.spans[place]
    told = {"gen_ai.usage.input_tokens": tokens, "gen_ai.usage.output_tokens": 0}
    made.spans[place] = Span(
        **{
            **{name: getattr(span, name) for name in Span.__slots__},
            "attributes": {**span.attributes, **told},
        }
    )


def _call(draw: st.DrawFn, made: Made, parent: str) -> int:
    given, got = draw(st.integers(1, 500)), draw(st.integers(1, 500))
    for kind, input_name, output_name in draw(
        st.lists(st.sampled_from(CALLS), min_size=1, max_size=3)
    ):
        count = draw(st.sampled_from([int, float, str]))
        told = {input_name: count(given), output_name: count(got)}
        parent = made.add(parent, {**kind, **told})
        if draw(st.integers(0, 4)) == 0:
            # The log event of the call tells the same again.
            told = {"gen_ai.operation.name": "chat"}
            told |= {"gen_ai.usage.input_tokens": given, "gen_ai.usage.output_tokens": got}
            made.add(parent, told, DETAILS)
        if draw(st.integers(0, 4)) == 0:
            parent = made.add(parent, {"http.method": "POST"})
    made.tokens += given + got
    made.calls += 1
    return given + got


def delivered(draw: st.DrawFn, spans: Sequence[Span]) -> list[list[Span]]:
    """The spans in any order, some of them twice, in pieces."""
    order = draw(st.permutations(spans))
    again = draw(st.lists(st.sampled_from(spans), max_size=3))
    whole = [*order, *again]
    cuts = sorted(draw(st.lists(st.integers(0, len(whole)), max_size=4)))
    edges = [0, *cuts, len(whole)]
    return [whole[a:b] for a, b in pairwise(edges)]
