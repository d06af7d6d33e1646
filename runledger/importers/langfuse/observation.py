"""An observation of a trace: its kind, and the choice of observations that are model calls.

One call of a model often appears twice, nested: once for each library that reports it. Each number
is counted on at most one observation of every path from the root to a leaf.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, Final

from runledger.errors import InvalidArgument
from runledger.importers.foreign import Foreign

DEEPEST: Final = 300
"""Levels of a tree; the calls in it are found by recursion."""


class Kind(Enum):
    """The role of an observation in a run."""

    LLM = "llm"
    TOOL = "tool"
    CONTAINER = "container"
    OTHER = "other"


KINDS: Final[tuple[tuple[str, Mapping[str, Kind]], ...]] = (
    # https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/
    (
        "gen_ai.operation.name",
        {
            "chat": Kind.LLM,
            "text_completion": Kind.LLM,
            "generate_content": Kind.LLM,
            "embeddings": Kind.LLM,
            "execute_tool": Kind.TOOL,
            "invoke_agent": Kind.CONTAINER,
            "invoke_workflow": Kind.CONTAINER,
        },
    ),
    # https://github.com/Arize-ai/openinference/blob/main/spec/semantic_conventions.md
    (
        "openinference.span.kind",
        {
            "LLM": Kind.LLM,
            "EMBEDDING": Kind.LLM,
            "TOOL": Kind.TOOL,
            "AGENT": Kind.CONTAINER,
            "CHAIN": Kind.CONTAINER,
        },
    ),
    # https://github.com/traceloop/openllmetry/tree/main/packages/opentelemetry-semantic-conventions-ai
    (
        "traceloop.span.kind",
        {"tool": Kind.TOOL, "workflow": Kind.CONTAINER, "agent": Kind.CONTAINER},
    ),
)
"""Attribute of the span from which Langfuse made the observation → its values → the kind."""

# https://langfuse.com/docs/observability/features/observation-types
TYPES: Final[Mapping[str, Kind]] = {
    "GENERATION": Kind.LLM,
    "EMBEDDING": Kind.LLM,
    "TOOL": Kind.TOOL,
    "AGENT": Kind.CONTAINER,
    "CHAIN": Kind.CONTAINER,
    "SPAN": Kind.CONTAINER,
    "EVALUATOR": Kind.CONTAINER,
    "EVENT": Kind.OTHER,
    "GUARDRAIL": Kind.OTHER,
    "RETRIEVER": Kind.OTHER,
}
"""Langfuse's type → the kind, if no attribute names it."""

_LATER_EVENT: Final = re.compile(r"(tool|backend)\..*\.(finish|success|error|newToken)-\d+\Z")
"""BeeAI reports each event of a call as a span; the first one, `start`, is the call.

https://github.com/i-am-bee/beeai-framework/blob/main/python/docs/events.md
"""


@dataclass(slots=True)
class Observation:
    """An observation, its attributes, and its children in the tree."""

    source: Foreign
    observation_id: str
    kind: Kind
    name: str
    began: datetime
    ended: datetime | None
    usage: dict[str, int]
    attributes: Mapping[str, Any]
    children: list["Observation"] = field(default_factory=list)

    def attribute(self, *names: str) -> str | None:
        """Return the first of these attributes that is a text."""
        for name in names:
            value = self.attributes.get(name)
            if isinstance(value, str) and value:
                return value
        return None

    @property
    def failed(self) -> bool:
        """Whether it has the level of an error."""
        return self.source.fields.get("level") == "ERROR"

    @property
    def silent(self) -> bool:
        """Whether it has no facts of a call: no usage, no input, no output, no error."""
        texts = (self.source.fields.get(key) for key in ("input", "output"))
        return not self.usage and not self.failed and all(value is None for value in texts)


def observation(source: Foreign) -> Observation:
    """Parse an observation; InvalidArgument with the place if the content is wrong."""
    observation_id, began = source.text("id"), source.time("startTime")
    if observation_id is None:
        raise source.fault("id", "the id of the observation")
    if began is None:
        raise source.fault("startTime", "a time in ISO 8601")
    name = source.text("name") or ""
    attributes = _attributes(source.fields.get("metadata"))
    return Observation(
        source,
        observation_id,
        _kind(source.text("type"), name, attributes),
        name,
        began,
        source.time("endTime"),
        _usage(source.object("usageDetails")),
        attributes,
    )


def roots(observations: Sequence[Observation]) -> list[Observation]:
    """Join the observations into trees by their parents, in the order of time; return the tops.

    Raises:
        InvalidArgument: if the tree is deeper than DEEPEST, or if parents form a cycle.
    """
    by_id = {one.observation_id: one for one in observations}
    tops: list[Observation] = []
    for one in sorted(by_id.values(), key=lambda one: one.began):
        parent = by_id.get(one.source.text("parentObservationId") or "")
        (tops if parent is None else parent.children).append(one)
    level, reached = tops, 0
    for _ in range(DEEPEST):
        reached += len(level)
        level = [child for one in level for child in one.children]
    if reached != len(by_id):
        raise InvalidArgument(
            f"observations: expected trees of {DEEPEST} levels at most, found "
            f"{len(by_id) - reached:,} observations that are deeper or above themselves"
        )
    return tops


def model_calls(tops: Sequence[Observation]) -> list[Observation]:
    """Return the observations that count as calls of a model, in the order of time.

    Of nested calls, the innermost that report usage are counted; a container or a tool that reports
    usage is counted only if nothing below it reports usage.
    """
    found = [call for top in tops for call in _calls(top)]
    return sorted(found, key=lambda call: call.began)


def _calls(one: Observation) -> Iterator[Observation]:
    below = [call for child in one.children for call in _calls(child)]
    reported = any(call.usage for call in below)
    if one.kind is Kind.LLM and not one.silent:
        # Below an answer there may be tools and agents, which make separate calls.
        own = [call for call in below if _in_family(one, call)]
        if any(call.usage for call in own):
            yield from below
        else:
            yield one
            yield from (call for call in below if call not in own)
    elif one.kind in (Kind.CONTAINER, Kind.TOOL) and one.usage and not reported:
        yield one
        yield from below
    else:
        yield from below


def _in_family(one: Observation, call: Observation) -> bool:
    """Whether only observations of the kinds `llm` and `other` lie between the two."""
    return any(
        child is call or (child.kind in (Kind.LLM, Kind.OTHER) and _in_family(child, call))
        for child in one.children
        if child.kind in (Kind.LLM, Kind.OTHER)
    )


def _kind(given: str | None, name: str, attributes: Mapping[str, Any]) -> Kind:
    if _LATER_EVENT.match(name):
        return Kind.OTHER
    for attribute, kinds in KINDS:
        found = kinds.get(str(attributes.get(attribute)))
        if found is not None:
            return found
    return TYPES.get(given or "", Kind.OTHER)


def _usage(given: Foreign | None) -> dict[str, int]:
    counted = {} if given is None else {key: given.count(key) for key in given.fields}
    return {key: count for key, count in counted.items() if count is not None}


def _attributes(metadata: Any) -> Mapping[str, Any]:
    """Return the span's attributes in an observation's metadata, which may be JSON as text."""
    if isinstance(metadata, str):
        try:
            metadata = json.loads(metadata)
        except (ValueError, RecursionError):
            return {}
    attributes = metadata.get("attributes") if isinstance(metadata, dict) else None
    return attributes if isinstance(attributes, dict) else {}
