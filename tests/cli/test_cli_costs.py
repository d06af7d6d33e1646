"""`usage` shows what tokens cost, and fails beyond a limit."""

import asyncio
from pathlib import Path

import pytest
from command_line import Command

from runledger import RunLedger


@pytest.fixture
def spent(tmp_path: Path) -> None:
    """Record a step of a known price, and one of an unknown model."""

    async def record() -> None:
        async with (
            RunLedger.open(f"sqlite:///{tmp_path}/runs.db") as ledger,
            ledger.run(agent_id="agent-a") as run,
        ):
            for provider, model in (("openai", "gpt-4.1"), ("ollama", "qwen")):
                await run.record_step(
                    provider=provider, model=model, prompt_tokens=812, completion_tokens=40
                )

    asyncio.run(record())


@pytest.mark.usefixtures("spent")
def test_an_unknown_price_is_unknown_beside_a_known_one(runledger: Command) -> None:
    known, unknown = runledger("usage", "--json").json
    assert (known["cost_usd"], known["unpriced_tokens"]) == ("0.001944000000", 0)
    assert (unknown["cost_usd"], unknown["unpriced_tokens"]) == (None, 852)
    (both,) = runledger("usage", "--by", "agent", "--json").json
    assert (both["cost_usd"], both["incomplete_steps"]) == ("0.001944000000", 1)
    assert "≥ 0.001944 USD" in runledger("usage", "--by", "agent").out


@pytest.mark.usefixtures("spent")
def test_usage_fails_beyond_a_limit(runledger: Command) -> None:
    beyond = runledger("usage", "--fail-over", "0.001943USD")
    assert beyond.code == 3
    assert "found ≥ 0.001944 USD" in beyond.err
    within = runledger("usage", "--fail-over", "0.001944")
    assert within.code == 0
    assert "a lower bound" in within.err
    assert runledger("usage", "--model", "gpt-4.1", "--fail-over", "0.001944").err == ""
    assert runledger("usage", "--fail-over", "a lot").code == 2
