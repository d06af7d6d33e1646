"""The counts in a provider's usage, by all names that providers and libraries use."""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

from runledger.errors import InvalidArgument
from runledger.messages import whole_number


@lru_cache(maxsize=1024)
def bare(name: str) -> str:
    """Return a name without case and separators: cacheReadInputTokens is cache_read_input_tokens.

    name: a key of a usage object or the name of a provider.
    """
    return re.sub(r"[^a-z0-9]", "", name.lower())


Names = Mapping[str, int]
"""The normalized names of one count, each with its rank: an earlier one takes precedence."""


def _bare(*names: str) -> Names:
    return {bare(name): place for place, name in enumerate(names)}


PROMPT: Final = _bare(
    "prompt_tokens",
    "input_tokens",
    "prompt_token_count",
    "input_token_count",
    "total_input_tokens",
    "prompt_eval_count",
)
COMPLETION: Final = _bare(
    "completion_tokens",
    "output_tokens",
    "candidates_token_count",
    "response_token_count",
    "output_token_count",
    "total_output_tokens",
    "eval_count",
)
TOTAL: Final = _bare("total_tokens", "total_token_count")
TOOL_PROMPT: Final = _bare("tool_use_prompt_token_count", "total_tool_use_tokens")
"""Input that Google counts separately from the prompt."""
CACHE_READ: Final = _bare(
    "cached_tokens",
    "cache_read_tokens",
    "cache_read_input_tokens",
    "cache_read",
    "cached_input_tokens",
    "cached_content_token_count",
    "prompt_cache_hit_tokens",
    "cached_prompt_text_tokens",
    "num_cached_tokens",
    "total_cached_tokens",
    "cache_read_input_token_count",
)
CACHE_WRITE: Final = _bare(
    "cache_creation_tokens",
    "cache_write_tokens",
    "cache_creation_input_tokens",
    "cache_write_input_tokens",
    "cache_creation",
    "cache_write",
    "cache_write_input_token_count",
)
WRITTEN_FOR_5M: Final = _bare("ephemeral_5m_input_tokens")
WRITTEN_FOR_1H: Final = _bare("ephemeral_1h_input_tokens")
WRITES_BY_LIFETIME: Final = _bare(
    "cache_creation", "cache_creation_token_details", "cache_creation_tokens_details"
)
"""Objects with a count for each lifetime of a cache entry."""
WRITES_IN_LIST: Final = _bare("cache_details")
"""Bedrock's list of objects with a lifetime (`ttl`) and a count."""
REASONING: Final = _bare(
    "reasoning_tokens",
    "thoughts_token_count",
    "reasoning",
    "thinking_tokens",
    "reasoning_output_tokens",
    "total_thought_tokens",
)


def count(name: str, value: object) -> int | None:
    """Return a count of tokens, or None.

    name: what the value is called, for the message. value: 0 or more; 50.0 is 50.

    Raises:
        InvalidArgument: for any other value.
    """
    number = whole_number(value)
    if number is None:
        return None
    if isinstance(number, bool) or not isinstance(number, int) or number < 0:
        raise InvalidArgument(f"{name}: expected a token count of 0 or more, found {value!r:.80}")
    return number


_NO_COUNTS: Final = (Mapping, list, tuple)


def find(details: Mapping[str, Any] | None, names: Names) -> int | None:
    """Return the first positive count among the names, else 0 if any was reported, else None.

    A count of 0 falls through to the next name: some gateways fill both the OpenAI and the
    Anthropic key. Objects and lists are not counts.
    """
    if not details:
        return None
    # Details have few keys, and there are many names, so the loop is over the keys.
    ranked = [(names[bare(str(key))], str(key)) for key in details if bare(str(key)) in names]
    found: int | None = None
    for _, key in sorted(ranked):
        value = details[key]
        if value is None or (type(value) is not int and isinstance(value, _NO_COUNTS)):
            continue
        found = count(key, value)
        if found:
            return found
    return found


def cache_writes(details: Mapping[str, Any] | None) -> tuple[int | None, int | None]:
    """Return the tokens written to a cache, and those of them that were written for one hour.

    If the sum over the lifetimes exceeds the whole, the sum is used: the smaller number would hide
    tokens that are paid for.
    """
    if not details:
        return None, None
    told = find(details, CACHE_WRITE)
    five: int | None = None
    hour: int | None = None
    for part in _lifetimes(details):
        five = _larger(five, find(part, WRITTEN_FOR_5M))
        hour = _larger(hour, find(part, WRITTEN_FOR_1H))
    if five is None and hour is None:
        return told, None
    return max(told or 0, (five or 0) + (hour or 0)), hour


def _larger(one: int | None, other: int | None) -> int | None:
    return other if one is None else max(one, other or 0)


def _lifetimes(details: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield details
    for key, value in details.items():
        name = bare(str(key))
        if name in WRITES_BY_LIFETIME and isinstance(value, Mapping):
            yield value
        elif name in WRITES_IN_LIST and isinstance(value, list | tuple):
            sums = {"5m": 0, "1h": 0}
            for entry in value:
                fields = entry if isinstance(entry, Mapping) else {}
                ttl = str(fields.get("ttl"))
                sums[ttl] = sums.get(ttl, 0) + (find(fields, PROMPT) or 0)
            yield {f"ephemeral_{ttl}_input_tokens": tokens for ttl, tokens in sums.items()}
