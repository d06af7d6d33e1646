"""Worked examples of costs, exact to the pico-dollar: what was sent, when, and what it costs."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

import pytest

from runledger.prices import Named, cells, resolve, shipped
from runledger.usage import derived
from tests.prices.direct_cost import Cost, Tokens, cost


class Example(NamedTuple):
    """Names, date, service tier and usage as reported; the cost in USD and the flags."""

    provider: str | None
    model: str
    at: str
    usage: dict[str, Any]
    usd: str | None
    tier: str | None = None
    flags: tuple[str, ...] = ()
    unpriced: int = 0
    complete: bool = True


def used(prompt: int | None, completion: int | None, **details: Any) -> dict[str, Any]:
    """Return facts of a step; details with `_of` in the name are parts of the prompt."""
    facts: dict[str, Any] = {"prompt_tokens": prompt, "completion_tokens": completion}
    inside = {n: details.pop(n) for n in list(details) if n.startswith(("cache", "ephemeral"))}
    if "reasoning_tokens" in details:
        facts["completion_tokens_details"] = {"reasoning_tokens": details.pop("reasoning_tokens")}
    return facts | ({"prompt_tokens_details": inside} if inside else {}) | details


INSIDE = {"input_includes_cache": True}
EXAMPLES = {
    "cache inside the input": Example(
        "openai", "gpt-4.1-mini", "2026-02-16", used(1956, 117, cached_tokens=1792), "0.000432"
    ),
    "cache beside the input": Example(
        "anthropic",
        "claude-sonnet-4-5",
        "2025-11-20",
        used(7, 231, cache_read_input_tokens=1684, cache_creation_input_tokens=9518),
        "0.0396837",
    ),
    "cache beside, as it exceeds the input; a region": Example(
        "anthropic",
        "us.anthropic.claude-sonnet-4-6",
        "2026-08-06",
        used(4, 767, cache_read_input_tokens=29447, cache_creation_input_tokens=2861),
        "0.034187835",
    ),
    "cache inside, as stated": Example(
        "anthropic",
        "claude-opus-4-5",
        "2026-01-20",
        used(4000, 10, cache_read_input_tokens=3000, **INSIDE),
        "0.00675",
    ),
    "cache beside, by the total": Example(
        "anthropic",
        "claude-opus-4-5",
        "2026-01-20",
        used(5000, 10, cache_read_input_tokens=1000, total_tokens=6010),
        "0.02575",
    ),
    "reasoning inside the output": Example(
        "openai", "o1", "2025-07-02", used(941, 1202, reasoning_tokens=896), "0.086235"
    ),
    "thoughts beside the output": Example(
        "google",
        "gemini-2.5-flash",
        "2025-08-01",
        used(55021, 923, reasoning_tokens=785, total_tokens=56729),
        "0.0207763",
    ),
    "200,000 tokens of input": Example(
        "anthropic", "claude-sonnet-4-5", "2025-11-01", used(200000, 1000), "0.615"
    ),
    "200,001 tokens of input": Example(
        "anthropic",
        "claude-sonnet-4-5",
        "2025-11-01",
        used(50001, 1000, cache_read_input_tokens=150000),
        "0.412506",
    ),
    "one of two calls of 150,000": Example(
        "anthropic", "claude-sonnet-4-5", "2025-11-01", used(150000, 1000), "0.465"
    ),
    "cache writes of two lifetimes": Example(
        "anthropic",
        "claude-opus-4-5",
        "2026-01-20",
        used(
            10,
            100,
            cache_creation_input_tokens=10000,
            cache_creation={"ephemeral_5m_input_tokens": 4000, "ephemeral_1h_input_tokens": 6000},
        ),
        "0.08755",
    ),
    "no price of cache reads": Example(
        "openai",
        "o1-pro",
        "2025-08-01",
        used(5000, 10, cached_tokens=2000),
        "0.756",
        flags=("cache_read_at_input_price",),
    ),
    "batch": Example(
        "anthropic", "claude-opus-4-5", "2026-11-15", used(100000, 20000), "0.5", tier="batch"
    ),
    "batch before its first price": Example(
        "anthropic",
        "claude-opus-4-5",
        "2026-01-20",
        used(100000, 20000),
        "1",
        tier="batch",
        flags=("service_tier_without_price",),
    ),
    "flex": Example(
        "openai",
        "gpt-5.1",
        "2026-11-15",
        used(100000, 20000, cached_tokens=40000),
        "0.14",
        tier="Flex",
    ),
    "the last second before a change": Example(
        "openai", "o3", "2025-06-09T23:59:59", used(10000, 2000), "0.18"
    ),
    "midnight in UTC": Example(
        "openai", "o3", "2025-06-09T20:00:00-04:00", used(10000, 2000), "0.036"
    ),
    "the last second of the peak": Example(
        "deepseek",
        "deepseek-v4-pro",
        "2026-09-01T03:59:59",
        used(30000, 1000, cached_tokens=20000),
        "0.01804",
    ),
    "the first second after the peak": Example(
        "deepseek",
        "deepseek-v4-pro",
        "2026-09-01T04:00:00",
        used(30000, 1000, cached_tokens=20000),
        "0.00902",
    ),
    "a prefix for the host and a region": Example(
        None,
        "bedrock/us.anthropic.claude-haiku-4-5-20251001-v1:0",
        "2026-06-01",
        used(6256, 163),
        "0.0077781",
    ),
    "the same anywhere in the world": Example(
        None,
        "bedrock/global.anthropic.claude-haiku-4-5-20251001-v1:0",
        "2026-06-01",
        used(6256, 163),
        "0.007071",
    ),
    "a list of another provider": Example(
        None,
        "azure/gpt-4o-2024-11-20",
        "2025-12-02",
        used(417, 20),
        "0.0012425",
        flags=("price_of_another_provider",),
    ),
    "an unknown model": Example(
        None,
        "ollama_chat/qwen2.5:7b",
        "2025-12-02",
        used(417, 19),
        None,
        unpriced=436,
        complete=False,
    ),
    "nothing used": Example("openai", "gpt-5.1-codex", "2025-11-20", used(0, 0), "0"),
    "no usage reported": Example(
        "openai", "gpt-5.1-codex", "2025-11-20", used(None, None), None, complete=False
    ),
    "no output reported": Example(
        "openai", "gpt-4o-mini", "2025-08-01", used(1988, None), "0.0002982", complete=False
    ),
}


def tokens(usage: dict[str, Any], provider: str | None) -> Tokens:
    """Return the buckets of a usage as a step records them."""
    facts = derived(usage | {"provider_name": provider})
    written, hour = facts["cache_write_tokens"], facts["cache_write_1h_tokens"]
    return Tokens(
        facts["fresh_input_tokens"],
        facts["cache_read_tokens"],
        None if written is None else written - (hour or 0),
        hour,
        facts["output_tokens"],
        facts["reasoning_tokens"],
    )


def priced(example: Example) -> Cost:
    """Return the cost of an example by the shipped table."""
    table = shipped()
    found = resolve(table, Named(example.provider, example.model))
    made = []
    if found is not None:
        rows = table.by_model.get((found.provider, found.model), ())
        made = cells(rows, example.tier, found.flags)
    at = datetime.fromisoformat(example.at)
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return cost(tokens(example.usage, example.provider), at, made)


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_worked_example_costs_what_it_costs(name: str) -> None:
    example = EXAMPLES[name]
    found = priced(example)
    expected = None if example.usd is None else int(Decimal(example.usd) * 10**12)
    assert found.total == expected
    assert found.flags == example.flags
    assert (found.unpriced, found.complete) == (example.unpriced, example.complete)
    assert found.total is None or found.total == sum(found.units.values())
