"""A span that counts → the facts of a step."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from runledger.events import EARLIEST, LATEST
from runledger.importers.otlp.conventions import Kind
from runledger.importers.otlp.reading import Counts, Reader
from runledger.importers.otlp.trace import Node

COUNTED_ABOVE: Final = "counted-above"
"""The tag of a step whose numbers are part of another step's, recorded before it."""
LONGEST_MESSAGE: Final = 10_000
"""Characters of an error's message; a longer one is cut."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NS_MAX: Final = 2**63 - 1


def moment(ns: int) -> datetime:
    """Return nanoseconds since 1970 as a time; one beyond the ledger's becomes its limit."""
    last = LATEST - timedelta(microseconds=1)
    if ns >= (last - _EPOCH).total_seconds() * 1e9:
        return last
    return max(_EPOCH + timedelta(microseconds=ns // 1000), EARLIEST)


def step_facts(
    node: Node, reader: Reader, others: Sequence[Node], *, bare: bool = False
) -> dict[str, Any]:
    """Return the facts of a step.

    node: the span that counts.
    others: the spans around it that report the same call and no other, the nearest first; what the
        node does not report is taken from them.
    bare: whether the numbers are counted above; they are kept as details then.
    """
    span = node.span
    sources = (span, *(other.span for other in others))

    def first(fact: str) -> str | None:
        return next((text for one in sources if (text := reader.fact(one, fact))), None)

    provider, took = first("provider"), span.end_ns - span.start_ns
    counts = _filled(node.counts, others)
    stops = (reader.stop_reason(one) for one in sources)
    facts: dict[str, Any] = {
        "provider_name": provider,
        "model": first("model"),
        "model_handle": first("requested_model"),
        "request_id": first("request_id"),
        "trace_id": span.trace_id,
        "step_start_ns": _whole(span.start_ns),
        "step_ns": _whole(took),
        "stop_reason": next((stop for stop in stops if stop is not None), None),
        "tags": _tags(node, reader, bare),
        "status": "success",
    }
    if node.kind is not Kind.TOOL and node.kind is not Kind.RUN:
        facts |= {"llm_request_start_ns": _whole(span.start_ns), "llm_request_ns": _whole(took)}
    if span.failed:
        facts |= {"status": "failed", "error_type": reader.error(span)}
        facts["status"] = "cancelled" if reader.cancelled(span) else "failed"
        if span.status_message:
            facts["error_data"] = {"message": span.status_message[:LONGEST_MESSAGE]}
    if bare:
        raw = {name: value for name, value in counts._asdict().items() if value is not None}
        return {**facts, "usage_details": {COUNTED_ABOVE: raw}} if raw else facts
    return {**facts, **_usage(node, reader, counts, provider)}


def _usage(node: Node, reader: Reader, counts: Counts, provider: str | None) -> dict[str, Any]:
    if not counts.reported:
        return {}
    thought, within = counts.reasoning, True
    beside = reader.thinking(provider, counts)
    if beside is not None:
        thought, within = beside, False
    elif thought is not None and thought > (counts.output or 0):
        within = False
    cached = {
        "cached_tokens": counts.cache_read,
        "cache_creation_tokens": counts.cache_write,
    }
    known = {name: value for name, value in cached.items() if value is not None}
    return {
        "prompt_tokens": counts.input,
        "completion_tokens": counts.output,
        "total_tokens": counts.total,
        "prompt_tokens_details": known or None,
        "completion_tokens_details": None if thought is None else {"reasoning_tokens": thought},
        "input_includes_cache": reader.includes_cache(node.span, counts),
        "output_includes_reasoning": within,
    }


def _filled(counts: Counts, others: Sequence[Node]) -> Counts:
    """Return the counts, with the parts that only a span around reports of the same numbers."""
    for other in others:
        same = other.counts
        if counts.reported and (same.input, same.output) == (counts.input, counts.output):
            counts = Counts(
                *(there if here is None else here for here, there in zip(counts, same, strict=True))
            )
    return counts


def _tags(node: Node, reader: Reader, bare: bool) -> list[str]:
    tags = []
    if node.kind is Kind.EMBEDDING:
        tags.append("embedding")
    elif node.kind in (Kind.RUN, Kind.TOOL):
        tags.append("usage-only")
    if bare:
        tags.append(COUNTED_ABOVE)
    name = node.agent and reader.fact(node.agent.span, "agent")
    return [*tags, f"agent:{name}"] if name else tags


def _whole(ns: int) -> int | None:
    return ns if 0 <= ns <= _NS_MAX else None
