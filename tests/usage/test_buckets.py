"""How usage is split: the arithmetic first, then what is stated, then the table, then inclusive."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from runledger.errors import InvalidArgument
from runledger.events import StepRecorded
from runledger.usage import BUCKETS, COUNTED, RULES, derived, dialects, split, usage_facts
from runledger.usage.counts import bare

BEDROCK = ("aws.bedrock", "amazon-bedrock", "bedrock_converse")


def counted(facts: dict[str, Any]) -> dict[str, int]:
    found = derived(facts)
    return {name: found[name] for name in COUNTED if found[name] is not None}


def read(tokens: int, written: int = 0) -> dict[str, Any]:
    return {"cached_tokens": tokens, "cache_creation_tokens": written}


@pytest.mark.parametrize("dialect", dialects(), ids=lambda dialect: dialect.name)
def test_an_example_of_a_dialect_means_what_the_table_says(dialect: Any) -> None:
    for provider in dialect.providers:
        facts = {**usage_facts(dialect.usage), "provider_name": provider}
        assert counted(facts) == dialect.buckets


@pytest.mark.parametrize("dialect", dialects(), ids=lambda dialect: dialect.name)
def test_the_table_decides_where_no_total_does(dialect: Any) -> None:
    for name in dialect.providers:
        for provider in (name, name.upper(), name.replace("_", "-")):
            found = split(provider, 5_000, 1_000, read(1_000), {"reasoning_tokens": 400})
            cached, thought = dialect.includes
            assert found.buckets.fresh_input_tokens == (4_000 if cached else 5_000)
            assert found.buckets.output_tokens == (600 if thought else 1_000)
            assert (found.input_rule, found.output_rule) == ("provider", "provider")


def test_every_name_of_a_provider_leads_to_one_row() -> None:
    names = [bare(name) for dialect in dialects() for name in dialect.providers]
    assert len(names) == len(set(names))
    assert all(dialect.source.startswith("https://") for dialect in dialects())


@pytest.mark.parametrize(
    ("provider", "prompt", "completion", "total", "cached", "thought", "expected"),
    [
        ("google", 55_021, 923, 56_729, None, 785, (55_021, None, None, 923, 785)),
        ("xai", 100, 1_015, 2_015, None, 900, (100, None, None, 1_015, 900)),
        ("anthropic", 4_740, 255, 4_995, read(0, 4_735), None, (5, 0, 4_735, 255, None)),
        ("bedrock", 4_740, 255, 4_995, read(0, 4_735), None, (5, 0, 4_735, 255, None)),
        ("anthropic", 32_671, 5, 32_676, read(32_651), None, (20, 32_651, 0, 5, None)),
        ("bedrock", 3, 5, None, read(32_651, 17), None, (3, 32_651, 17, 5, None)),
        *(
            (name, 5_000, 10, 6_010, read(1_000), None, (5_000, 1_000, 0, 10, None))
            for name in (*BEDROCK, "vertex_ai", "azure_anthropic", "a gateway", None)
        ),
    ],
)
def test_a_total_tells_inclusive_from_exclusive(
    provider: str | None,
    prompt: int,
    completion: int,
    total: int | None,
    cached: dict[str, Any] | None,
    thought: int | None,
    expected: tuple[int | None, ...],
) -> None:
    reasoning = {"reasoning_tokens": thought} if thought else None
    found = split(provider, prompt, completion, cached, reasoning, total_tokens=total)
    assert found.buckets == expected
    assert found.input_rule == ("arithmetic" if cached else None)
    assert found.output_rule == ("arithmetic" if thought else None)


def test_what_is_stated_comes_before_the_table_and_after_arithmetic() -> None:
    stated = split("anthropic", 4_000, 10, read(3_000), input_includes_cache=True)
    assert (stated.buckets.fresh_input_tokens, stated.input_rule) == (1_000, "stated")
    against = split("openai", 4_000, 10, read(3_000), total_tokens=7_010, input_includes_cache=True)
    assert (against.buckets.fresh_input_tokens, against.input_rule) == (4_000, "contradicted")
    too_many = split(None, 0, 5, None, {"reasoning_tokens": 6}, output_includes_reasoning=True)
    assert (too_many.buckets.output_tokens, too_many.output_rule) == (5, "contradicted")


def test_what_nothing_is_known_of_is_inclusive_and_says_so() -> None:
    found = split("a gateway", 4_000, 1_000, read(3_000), {"reasoning_tokens": 400})
    assert found.buckets[:2] == (1_000, 3_000)
    assert (found.input_rule, found.output_rule) == ("default", "default")
    assert split("anthropic", 4_000, 1_000, read(0), {"reasoning_tokens": 0})[2:] == (None, None)


def test_a_total_that_two_readings_lead_to_is_met_by_the_one_that_is_chosen() -> None:
    facts: dict[str, Any] = {
        "prompt_tokens": 100,
        "completion_tokens": 50,
        "total_tokens": 190,
        "prompt_tokens_details": {"cached_tokens": 40},
        "completion_tokens_details": {"reasoning_tokens": 40},
    }
    google, bedrock = ({**facts, "provider_name": name} for name in ("google", "bedrock"))
    assert counted(google)["output_tokens"] == 50
    assert counted(google)["fresh_input_tokens"] == 60
    assert counted(bedrock)["output_tokens"] == 10
    assert counted(bedrock)["fresh_input_tokens"] == 100


@pytest.mark.parametrize(
    ("details", "whole", "hour"),
    [
        ({"cache_creation": {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 4}}, 7, 4),
        ({"cache_creation_input_tokens": 7, "ephemeral_1h_input_tokens": 4}, 7, 4),
        ({"cache_creation_tokens": 7, "cache_creation_token_details": {"ephemeral_1h_input_tokens": 0}}, 7, 0),
        ({"cacheWriteInputTokens": 7, "cacheDetails": [{"ttl": "1h", "inputTokens": 4}, {"ttl": "5m", "inputTokens": 3}]}, 7, 4),
        ({"cache_creation_input_tokens": 0, "cache_creation": {"ephemeral_1h_input_tokens": 4}}, 4, 4),
        ({"cache_creation_input_tokens": 7}, 7, None),
        ({}, None, None),
    ],
)  # fmt: skip
def test_writes_for_an_hour_are_kept_apart(
    details: dict[str, Any], whole: int | None, hour: int | None
) -> None:
    found = split("anthropic", 100, 1, details)
    assert (found.buckets.cache_write_tokens, found.cache_write_1h_tokens) == (whole, hour)


def test_a_total_is_the_sum_of_the_buckets_if_none_was_reported() -> None:
    facts = {
        "provider_name": "bedrock",
        "prompt_tokens": 3,
        "completion_tokens": 5,
        "prompt_tokens_details": {"cacheReadInputTokens": 32_651, "cacheWriteInputTokens": 17},
    }
    found = derived(facts)
    assert (found["total_tokens"], found["total_derived"]) == (32_676, True)
    assert "total_tokens" not in derived({**facts, "total_tokens": 8})
    assert "total_tokens" not in derived({"provider_name": "bedrock"})


@pytest.mark.parametrize("count", [50.0, 50])
def test_a_count_that_is_written_as_a_float_is_a_count(count: float) -> None:
    found = split(None, 100, 60, {"cached_tokens": count}, {"reasoning_tokens": count})
    assert found.buckets == (50, 50, None, 10, 50)


@pytest.mark.parametrize("count", [-1, 1.5, True, "8", float("nan"), float("inf"), -1.0])
def test_a_count_that_cannot_be_is_refused_by_name(count: object) -> None:
    with pytest.raises(InvalidArgument, match="cacheReadTokens: expected a token count"):
        split(None, 10, 5, {"cacheReadTokens": count}, None)
    with pytest.raises(InvalidArgument, match="inputTokens: expected a token count"):
        usage_facts({"inputTokens": count})


tokens = st.none() | st.integers(0, 60) | st.integers(0, 2**40)
flags = st.sampled_from([None, True, False])
providers = st.sampled_from([None, "?", *(d.providers[0] for d in dialects())])


@given(providers, tokens, tokens, tokens, tokens, tokens, tokens, tokens, tokens, flags, flags)
@example("google", 55_021, 923, None, None, None, None, 785, 56_729, None, None)
@example("bedrock", 100, 50, 40, None, None, None, 40, 190, None, None)
def test_buckets_are_disjoint_never_negative_and_sum_to_a_consistent_total(
    provider: str | None,
    prompt: int | None,
    completion: int | None,
    cached: int | None,
    five: int | None,
    hour: int | None,
    written: int | None,
    thought: int | None,
    total: int | None,
    cache_stated: bool | None,
    reasoning_stated: bool | None,
) -> None:
    facts = {
        "provider_name": provider,
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": total,
        "prompt_tokens_details": {
            "cached_tokens": cached,
            "cache_creation_input_tokens": written,
            "ephemeral_5m_input_tokens": five,
            "ephemeral_1h_input_tokens": hour,
        },
        "completion_tokens_details": {"reasoning_tokens": thought},
        "input_includes_cache": cache_stated,
        "output_includes_reasoning": reasoning_stated,
    }
    found = derived(facts)
    assert all((found[name] or 0) >= 0 for name in COUNTED)
    assert (found["cache_write_1h_tokens"] or 0) <= (found["cache_write_tokens"] or 0)
    assert {found["input_rule"], found["output_rule"]} <= {None, *RULES}
    # Each side is one whole: the reported one, or that and its parts.
    parts = (found["cache_read_tokens"] or 0) + (found["cache_write_tokens"] or 0)
    wholes = [
        {prompt} if prompt is not None and parts <= prompt else set(),
        {completion} if completion is not None and (thought or 0) <= completion else set(),
    ]
    if prompt is not None:
        wholes[0].add(prompt + parts)
        assert found["fresh_input_tokens"] + parts in wholes[0]
    if completion is not None:
        wholes[1].add(completion + (thought or 0))
        assert found["output_tokens"] + (thought or 0) in wholes[1]
    added = sum(found[name] or 0 for name in BUCKETS)
    if total is None:
        assert found.get("total_tokens", added) == added
    elif any(a + b == total for a in wholes[0] for b in wholes[1]):
        assert added == total


def test_an_event_has_a_place_for_all_that_is_derived() -> None:
    assert StepRecorded.derived <= StepRecorded.model_fields.keys()
    assert set(COUNTED) < StepRecorded.derived
