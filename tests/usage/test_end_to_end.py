"""Usage that is recorded reaches the steps, the run and the totals with the right buckets."""

from pathlib import Path
from typing import Any

import pytest

from runledger import RunLedger
from runledger.usage import COUNTED, Dialect, dialects

pytestmark = pytest.mark.slow

CASES: list[tuple[str, dict[str, Any], dict[str, int], int]] = [
    (
        "google",
        {
            "promptTokenCount": 55_021,
            "candidatesTokenCount": 923,
            "totalTokenCount": 56_729,
            "thoughtsTokenCount": 785,
        },
        {"fresh_input_tokens": 55_021, "output_tokens": 923, "reasoning_tokens": 785},
        56_729,
    ),
    (
        "xai",
        {
            "prompt_tokens": 100,
            "completion_tokens": 1_015,
            "total_tokens": 2_015,
            "completion_tokens_details": {"reasoning_tokens": 900},
        },
        {"fresh_input_tokens": 100, "output_tokens": 1_015, "reasoning_tokens": 900},
        2_015,
    ),
    *(
        (
            provider,
            {
                "prompt_tokens": 4_740,
                "completion_tokens": 255,
                "total_tokens": 4_995,
                "cache_creation_input_tokens": 4_735,
            },
            {"fresh_input_tokens": 5, "cache_write_tokens": 4_735, "output_tokens": 255},
            4_995,
        )
        for provider in ("anthropic", "bedrock")
    ),
    (
        "anthropic",
        {
            "prompt_tokens": 32_671,
            "completion_tokens": 255,
            "total_tokens": 32_926,
            "cache_read_input_tokens": 32_651,
        },
        {"fresh_input_tokens": 20, "cache_read_tokens": 32_651, "output_tokens": 255},
        32_926,
    ),
    *(
        (
            provider,
            {
                "inputTokens": 5_000,
                "outputTokens": 10,
                "totalTokens": 6_010,
                "cacheReadInputTokens": 1_000,
            },
            {"fresh_input_tokens": 5_000, "cache_read_tokens": 1_000, "output_tokens": 10},
            6_010,
        )
        for provider in ("aws.bedrock", "amazon-bedrock", "bedrock_converse", "vertex_ai")
    ),
    (
        "bedrock",
        {
            "prompt_tokens": 3,
            "completion_tokens": 5,
            "prompt_tokens_details": {"cache_read_tokens": 32_651, "cache_write_tokens": 17},
        },
        {
            "fresh_input_tokens": 3,
            "cache_read_tokens": 32_651,
            "cache_write_tokens": 17,
            "output_tokens": 5,
        },
        32_676,
    ),
]


async def _seen(
    ledger: RunLedger, run_id: str, model: str, expected: dict[str, int], total: int
) -> None:
    whole = {name: expected.get(name) for name in COUNTED}
    usage = await ledger.get_run_usage(run_id)
    renamed = {"cache_read_tokens": "cached_input_tokens"}
    assert {name: getattr(usage, renamed.get(name, name)) for name in COUNTED} == whole
    (view,) = await ledger.get_run_steps(run_id)
    (row,) = [run for run in await ledger.list_runs() if run.run_id == run_id]
    (totals,) = await ledger.usage_totals(by=["model"], model=model)
    assert await ledger.list_steps(run_id=run_id) == [view]
    for found in (dict(view), dict(row), dict(totals)):
        assert {name: found[name] for name in COUNTED} == whole
        assert found["total_tokens"] == total


async def test_the_numbers_of_every_case_reach_the_read_models(tmp_path: Path) -> None:
    async with RunLedger.open(f"sqlite:///{tmp_path}/runs.db", tmp_path / "runs.duckdb") as ledger:
        for number, (provider, usage, expected, total) in enumerate(CASES):
            model = f"model-{number}"
            async with ledger.run(agent_id="agent-1") as run:
                async with run.step(provider=provider, model=model) as step:
                    step.usage(usage)
            await _seen(ledger, run.run_id, model, expected, total)


@pytest.mark.parametrize("by_name", [False, True])
async def test_the_example_of_every_dialect_is_recorded(tmp_path: Path, by_name: bool) -> None:
    async with RunLedger.open(f"sqlite:///{tmp_path}/runs.db", tmp_path / "runs.duckdb") as ledger:
        for dialect in dialects():
            async with ledger.run(agent_id="agent-1") as run:
                async with run.step(provider=dialect.providers[0], model=dialect.name) as step:
                    if by_name:
                        step.usage(**dialect.usage)
                    else:
                        step.usage(dialect.usage)
            expected = dict(dialect.buckets)
            await _seen(ledger, run.run_id, dialect.name, expected, _total(dialect))


def _total(dialect: Dialect) -> int:
    return sum(n for name, n in dialect.buckets.items() if name != "cache_write_1h_tokens")


async def test_a_total_that_was_told_early_is_corrected_by_the_later_counts(tmp_path: Path) -> None:
    async with RunLedger.open(f"sqlite:///{tmp_path}/runs.db", tmp_path / "runs.duckdb") as ledger:
        async with ledger.run(agent_id="agent-1") as run:
            async with run.step(provider="openai") as step:
                step.usage({"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 11})
                step.usage({"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30})
                step.usage(completion_tokens=50)
            async with run.step(provider="anthropic") as step:
                step.usage(input_tokens=10, output_tokens=1, cache_read_input_tokens=7)
                step.usage({"output_tokens": 40, "cache_read_input_tokens": None})
        first, second = await ledger.get_run_steps(run.run_id)
        assert (first.completion_tokens, first.total_tokens) == (50, 60)
        assert (second.fresh_input_tokens, second.cache_read_tokens) == (10, 7)
        assert (second.output_tokens, second.total_tokens) == (40, 57)


async def test_what_is_not_known_of_a_usage_fails_no_run_and_is_kept(tmp_path: Path) -> None:
    usage = {
        "prompt_tokens": 50.0,
        "completion_tokens": 7,
        "prompt_cache_hit_tokens": 30,
        "cost": 0.95,
        "is_byok": False,
        "cost_details": {"upstream_inference_cost": 19},
        "of another library": [object, float("nan")],
    }
    async with RunLedger.open(f"sqlite:///{tmp_path}/runs.db", tmp_path / "runs.duckdb") as ledger:
        async with ledger.run(agent_id="agent-1") as run:
            async with run.step(provider="openrouter") as step:
                step.usage(**usage)
        assert (await ledger.get_run_by_id(run.run_id)).status == "completed"
        (view,) = await ledger.get_run_steps(run.run_id)
        assert (view.fresh_input_tokens, view.cache_read_tokens, view.output_tokens) == (20, 30, 7)
        assert view.usage_details is not None
        assert view.usage_details["cost_details"] == {"upstream_inference_cost": 19}
        _, rows = await ledger.sql("SELECT usage_details->>'cost', total_derived FROM steps")
        assert rows == [("0.95", True)]


async def test_a_step_that_is_told_again_is_the_same_step(tmp_path: Path) -> None:
    async with RunLedger.open(f"sqlite:///{tmp_path}/runs.db", tmp_path / "runs.duckdb") as ledger:
        run = await ledger.create_run("agent-1")
        facts: dict[str, Any] = {"provider": "bedrock", "prompt_tokens": 3, "completion_tokens": 5}
        step_id = await ledger.record_step(run.run_id, **facts)
        assert await ledger.record_step(run.run_id, step_id=step_id, **facts) == step_id
