"""What callers say of a step: the facts that there are, counts that can be, totals that follow."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypedDict

from runledger.errors import InvalidArgument
from runledger.events import StepStatus, StopReason
from runledger.messages import whole_number
from runledger.usage import Buckets, buckets

# Totals have 64 bits: one step that claimed them all would leave no room for the others of its day.
TOKENS_MAX: Final = 2**40
_COUNTED: Final = ("prompt_tokens", "completion_tokens", "total_tokens", *Buckets._fields)


class StepFacts(TypedDict, total=False):
    """The facts that a caller may tell of a step, by the names of its fields in StepRecorded."""

    completion_tokens: int | None
    completion_tokens_details: Mapping[str, Any] | None
    context_window_limit: int | None
    error_data: Mapping[str, Any] | None
    error_type: str | None
    llm_request_ns: int | None
    llm_request_start_ns: int | None
    model: str | None
    model_endpoint: str | None
    model_handle: str | None
    origin: str | None
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


STEP_FACTS: Final = frozenset(StepFacts.__annotations__)


def expect_known(call: str, facts: Iterable[str]) -> None:
    """Raise InvalidArgument for facts that no step has."""
    if unknown := sorted(set(facts) - STEP_FACTS):
        raise InvalidArgument(f"{call}: no such fact: {', '.join(unknown)}")


def step_facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts with the total and the buckets that follow from them; InvalidArgument for
    counts that cannot be."""
    whole = {name: _in_whole_numbers(value) for name, value in facts.items()}
    prompt, completion = whole.get("prompt_tokens"), whole.get("completion_tokens")
    for name in ("prompt_tokens", "completion_tokens", "total_tokens"):
        count = whole.get(name)
        if count is not None and (
            isinstance(count, bool) or not isinstance(count, int) or count < 0
        ):
            raise InvalidArgument(f"{name}: expected a token count of 0 or more, found {count!r}")
    for name in ("prompt_tokens_details", "completion_tokens_details"):
        details = whole.get(name)
        if details is not None and not isinstance(details, Mapping):
            raise InvalidArgument(f"{name}: expected a mapping, found {details!r:.80}")
    if whole.get("total_tokens") is None and (prompt is not None or completion is not None):
        whole["total_tokens"] = (prompt or 0) + (completion or 0)
    split = buckets(
        whole.get("provider_name"),
        prompt,
        completion,
        whole.get("prompt_tokens_details"),
        whole.get("completion_tokens_details"),
    )
    whole.update(split._asdict())
    for name in _COUNTED:
        if (whole.get(name) or 0) > TOKENS_MAX:
            raise InvalidArgument(
                f"{name}: expected {TOKENS_MAX} tokens in a step at most, found {whole[name]}"
            )
    return whole


def _in_whole_numbers(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: whole_number(count) for key, count in value.items()}
    return whole_number(value)
