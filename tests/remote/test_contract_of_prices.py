"""Prices are listed, and steps priced again, alike on a local ledger and on a remote one."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from runledger.errors import InvalidArgument, NotFound

pytestmark = pytest.mark.slow


async def test_prices_are_shown_and_listed(opened) -> None:
    async with opened() as ledger:
        (before,) = await ledger.get_model_prices("gpt-4.1", provider="openai")
        assert (before.input, before.valid_from, before.price_row) == (
            2, None, "openai/gpt-4.1@ever")  # fmt: skip
        at = datetime(2025, 6, 9, 20, tzinfo=timezone(timedelta(hours=-4)))
        (at_midnight,) = await ledger.get_model_prices("o3", provider="openai", at=at)
        assert (at_midnight.valid_from, at_midnight.output) == (date(2025, 6, 10), 8)
        row = {"provider": "azure_openai", "model": "gpt-4.1", "unit": "input", "price": "1.75"}
        first = await ledger.set_prices([row])
        assert (first.kind, first.prices) == ("listed", 1)
        # The same again changes nothing, so that a repeated request is no second event.
        assert await ledger.set_prices(await ledger.list_own_prices()) == first
        (own,) = await ledger.list_own_prices()
        assert (own.provider, own.price) == ("azure", "1.75")
        (after,) = await ledger.get_model_prices("gpt-4.1", provider="azure")
        assert (after.input, after.price_row) == (Decimal("1.75"), "own azure/gpt-4.1@ever")
        second = await ledger.set_prices([{**row, "price": "2"}])
        assert second.position > first.position
        assert [one.price for one in await ledger.list_own_prices()] == ["2"]
        assert await ledger.list_price_changes() == [first, second]
        with pytest.raises(NotFound):
            await ledger.get_model_prices("gpt-4.1", provider="ollama")
        for wrong in (
            {"unit": "tokens"},
            {"price": "free"},
            {"valid_from": "2025-1-1"},
            {"valid_to": "2025-01-01", "valid_from": "2025-01-02"},
            {"time_from": "06:00"},
            {"service_tier": "Flex"},
            {"seats": 1},
            {"provider": ""},
        ):
            with pytest.raises(InvalidArgument, match=next(iter(wrong))):
                await ledger.set_prices([{**row, **wrong}])
        with pytest.raises(InvalidArgument):
            await ledger.set_prices([])


async def test_steps_are_priced_again(opened) -> None:
    async with opened() as ledger:
        async with ledger.run(agent_id="agent-a") as run:
            await run.record_step(provider="openai", model="gpt-4.1", prompt_tokens=1_000_000)
        assert await ledger.operator.adopt_prices() is None
        row = {"provider": "openai", "model": "gpt-4.1", "unit": "input", "price": "3"}
        listed = await ledger.set_prices([row])
        dry = await ledger.operator.reprice(dry_run=True)
        assert (dry.difference.difference_usd, dry.change) == (1, None)
        (group,) = dry.difference.groups
        assert (group.old_usd, group.new_usd, group.run_id) == (2, 3, run.run_id)
        done = await ledger.operator.reprice(since=datetime(2020, 1, 1, tzinfo=UTC))
        assert done.difference.groups == dry.difference.groups
        assert done.change.known_at == listed.position
        (total,) = await ledger.usage_totals()
        assert total.cost_usd == 3
        assert (await ledger.operator.reprice()).change is None
        back = await ledger.operator.reprice(known_at="recorded")
        assert (back.difference.new_usd, back.difference.difference_usd) == (2, -1)
        with pytest.raises(InvalidArgument):
            await ledger.operator.reprice(known_at="later")
        with pytest.raises(InvalidArgument, match="position of the log, which ends at"):
            await ledger.operator.reprice(known_at=10**8)
