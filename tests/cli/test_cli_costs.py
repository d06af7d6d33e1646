"""`usage` shows what tokens cost, and fails beyond a limit."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest
from command_line import Command

from runledger import RunLedger

_T = TypeVar("_T")


async def _recorded(folder: Path, record: Callable[[RunLedger], Awaitable[_T]]) -> _T:
    async with RunLedger.open(f"sqlite:///{folder}/runs.db") as ledger:
        return await record(ledger)


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


@pytest.mark.usefixtures("spent")
def test_own_prices_are_listed_exported_and_applied(runledger: Command, tmp_path: Path) -> None:
    listed = runledger("prices", "set", "openai", "gpt-4.1", "input=1.5", "output=6", "--json").json
    assert (listed["kind"], listed["prices"]) == ("listed", 2)
    file = tmp_path / "contract.csv"
    file.write_text(runledger("prices", "export").out)
    assert file.read_text().splitlines()[1] == "openai,gpt-4.1,,,,,,input,1.5,0"
    assert runledger("prices", "import", str(file), "--json").json == listed
    assert [row["kind"] for row in runledger("prices", "list", "--json").json] == ["listed"]
    (shown,) = runledger("prices", "show", "gpt-4.1", "--json").json
    assert (shown["input"], shown["price_row"]) == ("1.500000", "own openai/gpt-4.1@ever")

    # A list changes no cost of earlier steps, and neither does a dry run.
    dry = runledger("reprice", "--dry-run", "--json").json
    assert runledger("usage", "--model", "gpt-4.1", "--json").json[0]["cost_usd"] == (
        "0.001944000000"
    )
    assert dry["change"] is None
    (group,) = dry["difference"]["groups"]
    assert (group["old_usd"], group["new_usd"]) == ("0.001944000000", "0.001458000000")
    text = runledger("reprice").out
    assert "1 of 2 steps differ, by -0.000486 USD" in text
    assert "own openai/gpt-4.1@ever" in text
    assert "0.001458 USD" in runledger("usage", "--model", "gpt-4.1").out
    assert "no cost differs in 2 steps" in runledger("reprice").out
    assert "by +0.000486 USD" in runledger("reprice", "--as-recorded").out
    assert "≥ 0.001944 USD" in runledger("usage", "--by", "agent").out


@pytest.mark.usefixtures("spent")
def test_what_is_no_price_is_refused(runledger: Command, tmp_path: Path) -> None:
    assert runledger("prices", "set", "openai", "x", "input").code == 2
    refused = runledger("prices", "set", "openai", "x", "input=a lot")
    assert (refused.code, "price 1: price: expected US dollars" in refused.err) == (1, True)
    for text, said in (("provider,cost\n", "cost"), ("provider,unit\nopenai,token\n", "line 2")):
        (tmp_path / "wrong.csv").write_text(text)
        found = runledger("prices", "import", str(tmp_path / "wrong.csv"))
        assert (found.code, said in found.err) == (1, True), found.err
    assert runledger("prices", "show", "no-such-model").code == 1
    assert "adopted already" in runledger("prices", "update").out
    assert runledger("prices", "list", "--json").json == []
    assert runledger("reprice", "--known-at", "0", "--as-recorded").code == 2


def test_runs_have_costs_are_ordered_and_filtered_by_them(
    runledger: Command, tmp_path: Path
) -> None:
    async def record(ledger: RunLedger) -> list[str]:
        made = []
        for thousands in (1, 3, 2):
            async with ledger.run(agent_id="agent-a") as run:
                await run.record_step(
                    provider="openai", model="gpt-4.1", prompt_tokens=thousands * 1000
                )
                await run.record_step(provider="ollama", model="qwen", prompt_tokens=7)
            made.append(run.run_id)
        async with ledger.run(agent_id="agent-a"):
            """It has no step, and no cost."""
        return made

    cheap, dear, middle = asyncio.run(_recorded(tmp_path, record))

    def listed(*options: str) -> list[str]:
        return [run["run_id"] for run in runledger("runs", "list", *options, "--json").json]

    assert listed("--order-by", "cost_usd") == [dear, middle, cheap]
    assert listed("--order-by", "cost_usd", "--ascending") == [cheap, middle, dear]
    assert listed("--order-by", "cost_usd", "--after", dear, "--limit", "1") == [middle]
    assert listed("--order-by", "cost_usd", "--before", cheap) == [dear, middle]
    assert listed("--where", "cost_usd > 0.003", "--ascending") == [dear, middle]
    assert listed("--where", "unpriced_tokens = 7 AND cost_usd < 0.003") == [cheap]
    (first, *_) = runledger("runs", "list", "--order-by", "cost_usd", "--json").json
    assert (first["cost_usd"], first["unpriced_tokens"]) == ("0.006000000000", 7)
    assert "≥ 0.006 USD" in runledger("runs", "list", "--order-by", "cost_usd").out
    assert len(listed("--where", "cost_usd IS NULL")) == 1
    assert len(listed("--where", "incomplete_steps = 2")) == 3


def test_doctor_compares_reported_costs(runledger: Command, tmp_path: Path) -> None:
    async def record(ledger: RunLedger) -> str:
        for reported in (0.001, 0.002):
            async with ledger.run(agent_id="agent-a") as run:
                await run.record_step(
                    provider="openai",
                    model="gpt-4.1",
                    prompt_tokens=1000,
                    completion_tokens=0,
                    usage_details={"cost": reported},
                )
            if reported == 0.001:
                apart = run.run_id
        return apart

    apart = asyncio.run(_recorded(tmp_path, record))
    runledger("project")
    found = runledger("doctor").out
    assert f"1 of 2 runs differ by more than 1 %, such as {apart}" in found
    assert "0.002 USD by prices, 0.001 USD reported; 1 cost less" in found
