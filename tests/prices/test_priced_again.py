"""Pricing again changes exactly the steps of the changed price rows, and can be taken back."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runledger import RunLedger
from runledger.errors import InvalidArgument
from runledger.prices import Price, PriceTable, shipped

BEGIN = datetime(2025, 3, 1, 22, tzinfo=UTC)
_steps = st.lists(
    st.tuples(
        st.sampled_from(["gpt-4.1", "gpt-4.1-mini", "unheard-of"]),
        st.integers(0, 5).map(lambda hours: BEGIN + timedelta(hours=hours)),
        st.integers(0, 2**40),
    ),
    min_size=1,
    max_size=8,
)
_model = st.sampled_from(["gpt-4.1", "gpt-4.1-mini"])


def _changed(model: str, since: str) -> PriceTable:
    """The shipped prices of OpenAI with another one of a model's input from a day on."""
    patterns = [row for row in shipped().patterns if row.provider == "openai"]
    prices = [row for row in shipped().prices if row.provider == "openai"]
    row = Price("openai", model, since, "", "", "", "", "input", "3.25")
    return PriceTable(patterns, [*prices, row], "2025-03-02", f"changed since {since}")


async def _costs(ledger: RunLedger) -> dict[str, tuple[object, ...]]:
    _, rows = await ledger.sql("SELECT * FROM step_costs")
    return {row[1]: row for row in rows}


async def _bill(ledger: RunLedger) -> Decimal:
    totals = await ledger.usage_totals(by=[])
    return totals[0].cost_usd or Decimal(0)


async def _law(folder: Path, steps: list[tuple[str, datetime, int]], model: str) -> None:
    async with RunLedger.open(f"sqlite:///{folder}/runs.db", folder / "runs.duckdb") as ledger:
        async with ledger.run(agent_id="agent-a") as run:
            for name, at, tokens in steps:
                await run.record_step(
                    provider="openai",
                    model=name,
                    prompt_tokens=tokens,
                    llm_request_start_ns=int(at.timestamp()) * 10**9,
                )
        recorded, bill = await _costs(ledger), await _bill(ledger)
        adopted = await ledger.operator.adopt_prices(_changed(model, "2025-03-02"))
        assert adopted is not None
        assert await ledger.operator.adopt_prices(_changed(model, "2025-03-02")) is None
        dry = await ledger.operator.reprice(dry_run=True)
        assert (await _costs(ledger), dry.change) == (recorded, None)
        done = await ledger.operator.reprice()
        assert done.difference.groups == dry.difference.groups
        repriced = await _costs(ledger)
        changed = {step for step in recorded if recorded[step] != repriced[step]}
        ids = dict(zip(recorded, steps, strict=True))
        assert changed == {
            step
            for step, (name, at, _) in ids.items()
            if name == model and at.date() >= date(2025, 3, 2)
        }
        assert done.difference.repriced == len(changed)
        assert await _bill(ledger) - bill == done.difference.difference_usd
        assert done.difference.new_usd == await _bill(ledger)
        made = await ledger.operator.replay()
        assert made.comparison is not None
        assert [table.differing for table in made.comparison.tables if table.differing] == []
        back = await ledger.operator.reprice(known_at="recorded")
        assert back.difference.difference_usd == -done.difference.difference_usd
        assert (await _costs(ledger), await _bill(ledger)) == (recorded, bill)


@pytest.mark.slow
@settings(deadline=None, max_examples=3)
@given(_steps, _model)
def test_one_changed_row_changes_its_steps_and_the_bill_by_their_sum(
    steps: list[tuple[str, datetime, int]], model: str
) -> None:
    with TemporaryDirectory(prefix="runledger-") as folder:
        asyncio.run(_law(Path(folder), steps, model))


def test_only_steps_of_the_period_are_priced_again(tmp_path: Path) -> None:
    async def work() -> None:
        opened = RunLedger.open(f"sqlite:///{tmp_path}/runs.db", tmp_path / "runs.duckdb")
        async with opened as ledger:
            async with ledger.run(agent_id="agent-a") as run:
                for hours in (0, 1, 2):
                    at = BEGIN + timedelta(hours=hours)
                    await run.record_step(
                        provider="openai",
                        model="gpt-4.1",
                        prompt_tokens=1_000_000,
                        llm_request_start_ns=int(at.timestamp()) * 10**9,
                    )
            row = {"provider": "openai", "model": "gpt-4.1", "unit": "input", "price": "1"}
            listed = await ledger.set_prices([row])
            since = BEGIN + timedelta(hours=1)
            done = await ledger.operator.reprice(since=since)
            assert [group.steps for group in done.difference.groups] == [1, 1]
            assert await _bill(ledger) == 2 + 1 + 1
            # By the table of the beginning, and by the list again.
            await ledger.operator.reprice(known_at=0)
            assert await _bill(ledger) == 6
            await ledger.operator.reprice(known_at=listed.position)
            assert await _bill(ledger) == 3
            with pytest.raises(InvalidArgument):
                await ledger.operator.reprice(since=datetime(2025, 3, 1))  # noqa: DTZ001

    asyncio.run(work())
