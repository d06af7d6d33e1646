"""Read models of an older version have no costs: a question about costs says so by name."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from runledger import RunLedger
from runledger.errors import ReadModelsError

Ask = Callable[[RunLedger], Awaitable[Any]]
WHERE = "cost_usd > 0 OR any_step(total_tokens > 5)"
REFUSED: dict[str, Ask] = {
    "a condition": lambda ledger: ledger.list_runs(where=WHERE),
    "an order": lambda ledger: ledger.list_runs(order_by="cost_usd"),
    "totals": lambda ledger: ledger.usage_totals(where=WHERE),
    "percentiles": lambda ledger: ledger.duration_percentiles(where=WHERE),
    "durations": lambda ledger: ledger.run_durations(where=WHERE),
}


def asked(folder: Path, question: Ask) -> Any:
    """Ask read models from which the tables of costs are taken away."""

    async def ask() -> Any:
        url, file = f"sqlite:///{folder}/runs.db", folder / "runs.duckdb"
        async with RunLedger.open(url, file) as ledger:
            async with ledger.run(agent_id="agent-a") as run:
                await run.record_step(provider="openai", model="gpt-4.1", total_tokens=9)
            await ledger.project()
        with duckdb.connect(str(file)) as db:
            db.execute("DROP TABLE step_costs")
            db.execute("DROP TABLE cost_totals")
        async with RunLedger.open(url, file) as ledger:
            return await question(ledger)

    return asyncio.run(ask())


@pytest.mark.parametrize("what", REFUSED)
def test_a_question_about_costs_is_refused(tmp_path: Path, what: str) -> None:
    with pytest.raises(ReadModelsError, match=r"older version.*replay --changed --switch"):
        asked(tmp_path, REFUSED[what])


def test_other_questions_are_answered(tmp_path: Path) -> None:
    (run,) = asked(tmp_path, lambda ledger: ledger.list_runs(where="num_steps = 1", costs=True))
    assert run.cost_usd is None
