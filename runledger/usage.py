"""Token usage: the provider's raw numbers, and the disjoint buckets derived from them once.

Providers disagree on what "input" includes. OpenAI and Gemini count cached tokens inside
`prompt_tokens`; Anthropic reports `prompt_tokens` (its `input_tokens`) without cache reads and
cache writes. The step's provider decides which convention holds.
"""

from typing import Any, Final, NamedTuple

from runledger.errors import InvalidArgument

EXCLUSIVE_PROVIDERS: Final = frozenset({"anthropic", "bedrock", "aws_bedrock", "vertex_anthropic"})
"""Providers whose prompt_tokens leave cache reads and writes out; all others include them."""


class Buckets(NamedTuple):
    """Disjoint token counts; None means that the provider did not report it, 0 that it reported 0.

    fresh_input + cache_read + cache_write is all input; output + reasoning is all output.
    """

    fresh_input_tokens: int | None
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    output_tokens: int | None
    reasoning_tokens: int | None


NOTHING_REPORTED: Final = Buckets(None, None, None, None, None)


def _reported(details: dict[str, Any] | None, *keys: str) -> int | None:
    """Return the first positive count among `keys`, else 0 if any was reported, else None.

    A key of 0 falls through to the next: some gateways fill both the OpenAI and the Anthropic key.
    """
    if not details:
        return None
    found: int | None = None
    for key in keys:
        value = details.get(key)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise InvalidArgument(f"{key}: expected a token count of 0 or more, found {value!r}")
        if value > 0:
            return value
        found = 0
    return found


def cached_input(details: dict[str, Any] | None) -> int | None:
    """Return the tokens read from a cache: `cached_tokens` (OpenAI, Gemini) or its synonyms."""
    return _reported(details, "cached_tokens", "cache_read_tokens", "cache_read_input_tokens")


def cache_write(details: dict[str, Any] | None) -> int | None:
    """Return the tokens written to a cache: `cache_creation_tokens` and its synonyms."""
    return _reported(
        details, "cache_creation_tokens", "cache_write_tokens", "cache_creation_input_tokens"
    )


def reasoning(details: dict[str, Any] | None) -> int | None:
    """Return the reasoning tokens inside the completion."""
    return _reported(details, "reasoning_tokens", "thoughts_token_count")


def buckets(
    provider: str | None,
    prompt_tokens: int | None,
    completion_tokens: int | None,
    prompt_tokens_details: dict[str, Any] | None,
    completion_tokens_details: dict[str, Any] | None,
) -> Buckets:
    """Split one step's usage into disjoint buckets.

    Numbers that contradict the provider's convention (more cached tokens than prompt tokens) are
    read by the other one, the only reading in which no bucket is negative. A clamp at zero would
    hide tokens that were paid for; a refusal would lose the step.
    """
    if provider is not None and not isinstance(provider, str):
        raise InvalidArgument(f"provider: expected text, found {provider!r:.80}")
    read = cached_input(prompt_tokens_details)
    write = cache_write(prompt_tokens_details)
    thought = reasoning(completion_tokens_details)
    fresh = prompt_tokens
    inside = (read or 0) + (write or 0)
    inclusive = (provider or "").lower() not in EXCLUSIVE_PROVIDERS
    if fresh is not None and inclusive and inside <= fresh:
        fresh -= inside
    output = completion_tokens
    if output is not None and thought is not None and thought <= output:
        output -= thought
    return Buckets(fresh, read, write, output, thought)
