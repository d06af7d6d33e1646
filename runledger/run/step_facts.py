"""The facts of a step: their names, the check of counts, and the derived totals."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypedDict

from runledger.errors import InvalidArgument
from runledger.events import StepStatus, StopReason
from runledger.messages import whole_number
from runledger.usage import COUNTED, derived

# Totals have 64 bits: a single step must not use up the range of the total of its day.
TOKENS_MAX: Final = 2**40
_TOKENS: Final = ("prompt_tokens", "completion_tokens", "total_tokens", *COUNTED)


class StepFacts(TypedDict, total=False):
    """The facts that a caller may give for a step, by the names of fields of StepRecorded."""

    completion_tokens: int | None
    completion_tokens_details: Mapping[str, Any] | None
    context_window_limit: int | None
    error_data: Mapping[str, Any] | None
    error_type: str | None
    input_includes_cache: bool | None
    llm_request_ns: int | None
    llm_request_start_ns: int | None
    model: str | None
    model_endpoint: str | None
    model_handle: str | None
    origin: str | None
    output_includes_reasoning: bool | None
    prompt_tokens: int | None
    prompt_tokens_details: Mapping[str, Any] | None
    provider_category: str | None
    provider_id: str | None
    provider_name: str | None
    request_id: str | None
    status: StepStatus
    step_ns: int | None
    step_start_ns: int | None
    stop_reason: StopReason | None
    tags: list[str]
    tid: str | None
    tool_execution_ns: int | None
    total_tokens: int | None
    trace_id: str | None
    usage_details: Mapping[str, Any] | None


STEP_FACTS: Final = frozenset(StepFacts.__annotations__)


def expect_known(call: str, facts: Iterable[str]) -> None:
    """Raise InvalidArgument for unknown names of facts."""
    if unknown := sorted(set(facts) - STEP_FACTS):
        raise InvalidArgument(f"{call}: no such fact: {', '.join(unknown)}")


def step_facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts with the derived ones: the buckets, their rules, possibly the total.

    facts: by the names in STEP_FACTS.

    Raises:
        InvalidArgument: for impossible counts.
    """
    said = {name: _in_whole_numbers(name, value) for name, value in facts.items()}
    for name in ("prompt_tokens_details", "completion_tokens_details", "usage_details"):
        details = said.get(name)
        if details is not None and not isinstance(details, Mapping):
            raise InvalidArgument(f"{name}: expected a mapping, found {details!r:.80}")
    for name in ("input_includes_cache", "output_includes_reasoning"):
        stated = said.get(name)
        if stated is not None and not isinstance(stated, bool):
            raise InvalidArgument(f"{name}: expected true or false, found {stated!r:.80}")
    said |= derived(said)
    for name in _TOKENS:
        if (said.get(name) or 0) > TOKENS_MAX:
            raise InvalidArgument(
                f"{name}: expected {TOKENS_MAX} tokens in a step at most, found {said[name]}"
            )
    return said


def _in_whole_numbers(name: str, value: Any) -> Any:
    if name in ("prompt_tokens_details", "completion_tokens_details") and isinstance(
        value, Mapping
    ):
        return {key: whole_number(count) for key, count in value.items()}
    return whole_number(value)
