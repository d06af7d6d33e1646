"""Random ledgers with two organizations, and their rows for a plain evaluation in Python."""

import asyncio
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from runledger import Actor, RunLedger
from runledger.ids import new_id
from runledger.run import STATUS_OF

START = datetime(2025, 1, 1, tzinfo=UTC)
ORGANIZATIONS = ("org-one", "org-two")
MODELS = ("gpt-4.1", "claude-sonnet-4", None)
TOOLS = ("search", "refund", "draw")


@dataclass(frozen=True)
class Rows:
    """The runs of one organization, each with its steps and its tool calls, as dictionaries."""

    runs: list[dict[str, Any]]
    steps: dict[str, list[dict[str, Any]]]
    tool_calls: dict[str, list[dict[str, Any]]]


async def fill_ledger(ledger: RunLedger, runs: int, seed: int) -> None:
    """Record runs of every fate in two organizations."""
    dice = random.Random(seed)
    for number in range(runs):
        mine = ledger.as_actor(Actor(ORGANIZATIONS[number % 2]))
        at = START + timedelta(minutes=dice.randrange(600))
        team = dice.choice([{}, {"team": "red"}, {"team": "blue"}, {"team": None}])
        amount = dice.choice([{}, {"n": 1}, {"n": 7.5}, {"n": "12"}, {"n": "none"}, {"a.b": "x"}])
        run = await mine.create_run(
            dice.choice(["agent-a", "agent-b"]),
            base_template_id=dice.choice([None, "template-1", "template-2"]),
            background=dice.choice([None, False, True]),
            project_id=dice.choice([None, "project-1", "it's"]),
            conversation_id=dice.choice([None, f"conv-{number}"]),
            metadata={**team, **amount},
            at=at,
        )
        for _ in range(dice.choice([0, 0, 1, 2, 3])):
            await _step(mine, run.run_id, dice, at)
        fate = dice.choice([None, "running", *STATUS_OF])
        if fate in STATUS_OF:
            await mine.update_run(
                run.run_id,
                stop_reason=fate,
                total_duration_ns=dice.choice([0, 10**9, 30 * 10**9, 7 * 60 * 10**9]),
            )
        elif fate:
            await mine.update_run(run.run_id, status=fate)
        if feedback := dice.choice([None, "positive", "negative"]):
            await mine.record_run_feedback(run.run_id, feedback)


async def _step(ledger: RunLedger, run_id: str, dice: random.Random, at: datetime) -> None:
    call = {"id": new_id("call"), "function": {"name": dice.choice(TOOLS), "arguments": "{}"}}
    asks = {"role": "assistant", "tool_calls": [call]}
    status = dice.choice(["success", "error", None])
    answers = {"role": "tool", "tool_returns": [{"tool_call_id": call["id"], "status": status}]}
    tokens = dice.choice([None, 0, 10, 2_000])
    await ledger.record_step(
        run_id,
        model=dice.choice(MODELS),
        prompt_tokens=tokens,
        completion_tokens=tokens,
        total_tokens=None if tokens is None else 2 * tokens,
        tags=dice.choice([[], ["night"], ["night", "retry"]]),
        messages=[asks] if status is None else [asks, answers],
        at=at,
    )


async def read_rows(ledger: RunLedger, organization: str) -> Rows:
    """Return what the lists have of one organization."""
    mine = ledger.as_actor(Actor(organization))
    runs = [record.model_dump() for record in await mine.list_runs(limit=1000, costs=True)]
    steps: dict[str, list[dict[str, Any]]] = {}
    for view in await mine.list_steps(limit=1000):
        steps.setdefault(view.run_id, []).append(view.model_dump())
    columns, found = await mine.sql("SELECT * FROM tool_calls")
    calls: dict[str, list[dict[str, Any]]] = {}
    for one in found:
        row = dict(zip(columns, one, strict=True))
        if row["organization"] == organization:
            calls.setdefault(row["run_id"], []).append(row)
    return Rows(runs, steps, calls)


def open_filled(directory: Path, runs: int, seed: int) -> RunLedger:
    """Return an open ledger with random runs; all are made at one microsecond, so that a query
    that told runs apart by their time would mix them."""
    ledger = RunLedger.open(
        f"sqlite:///{directory}/runs.db", directory / "runs.duckdb", clock=lambda: START
    )

    async def begin() -> None:
        await ledger.__aenter__()
        await fill_ledger(ledger, runs, seed)

    asyncio.run(begin())
    return ledger
