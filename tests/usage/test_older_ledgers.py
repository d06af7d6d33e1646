"""A ledger whose steps were split by the provider's name alone: a replay shows what changes."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from projections.generations.live import LiveReadModels
from projections.operator.local import Operations
from projections.replay.replay import build
from runledger import RunLedger, upcasters
from runledger.events import RunCreated, StepRecorded
from runledger.health import examine
from runledger.ids import derived_id
from runledger.store import Store, open_store
from runledger.store.codec import encode
from runledger.store.protocol import EncodedEvent, StreamWrite

pytestmark = pytest.mark.slow

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
STAMP: dict[str, Any] = {
    "occurred_at": NOON,
    "recorded_at": NOON,
    "organization": "org-00000000-0000-4000-8000-000000000000",
    "agent_id": "agent-1",
}
COLUMNS = ("fresh_input_tokens", "cache_read_tokens", "output_tokens", "total_tokens")
SAME: dict[str, Any] = {}
Step = tuple[dict[str, Any], dict[str, int | None]]
STEPS: dict[str, Step] = {
    # What revision 2 stored; which of it is another number today.
    "google": (
        {
            "provider_name": "google",
            "prompt_tokens": 55_021,
            "completion_tokens": 923,
            "total_tokens": 56_729,
            "completion_tokens_details": {"reasoning_tokens": 785},
            "fresh_input_tokens": 55_021,
            "output_tokens": 138,
            "reasoning_tokens": 785,
        },
        {"output_tokens": 923},
    ),
    "bedrock under another name": (
        {
            "provider_name": "amazon-bedrock",
            "prompt_tokens": 5_000,
            "completion_tokens": 10,
            "total_tokens": 6_010,
            "prompt_tokens_details": {"cached_tokens": 1_000},
            "fresh_input_tokens": 4_000,
            "cache_read_tokens": 1_000,
            "output_tokens": 10,
        },
        {"fresh_input_tokens": 5_000},
    ),
    "a total that was added up": (
        {
            "provider_name": "bedrock",
            "prompt_tokens": 3,
            "completion_tokens": 5,
            "total_tokens": 8,
            "prompt_tokens_details": {"cached_tokens": 32_651, "cache_creation_tokens": 17},
            "fresh_input_tokens": 3,
            "cache_read_tokens": 32_651,
            "cache_write_tokens": 17,
            "output_tokens": 5,
        },
        {"total_tokens": 32_676},
    ),
    "a total that may have been added up": (
        {
            "provider_name": "anthropic",
            "prompt_tokens": 4_740,
            "completion_tokens": 255,
            "total_tokens": 4_995,
            "prompt_tokens_details": {"cache_creation_tokens": 4_735},
            "fresh_input_tokens": 4_740,
            "cache_write_tokens": 4_735,
            "output_tokens": 255,
        },
        SAME,
    ),
    "openai": (
        {
            "provider_name": "openai",
            "prompt_tokens": 2_006,
            "completion_tokens": 300,
            "total_tokens": 2_306,
            "prompt_tokens_details": {"cached_tokens": 1_920},
            "fresh_input_tokens": 86,
            "cache_read_tokens": 1_920,
            "output_tokens": 300,
        },
        SAME,
    ),
    "details that are counts by today's names alone": (
        {
            "prompt_tokens": 5,
            "completion_tokens": 7,
            "total_tokens": 12,
            "prompt_tokens_details": {"cacheRead": "some"},
            "fresh_input_tokens": 5,
            "output_tokens": 7,
        },
        SAME,
    ),
    "nothing": ({}, SAME),
}


class Older(NamedTuple):
    """A store, and its read models."""

    store: Store
    live: LiveReadModels


def run_id(name: str) -> str:
    return derived_id("run", name)


def of_revision_2(name: str) -> EncodedEvent:
    step = StepRecorded(
        **STAMP,
        event_id=f"step of {name}",
        born=1,
        step_id=derived_id("step", name),
        **STEPS[name][0],
    )
    stored = encode(step)
    facts = json.loads(stored.facts)
    facts["revision"] = 2
    return stored._replace(facts=json.dumps(facts).encode())


@pytest.fixture
def older(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Older]:
    """A store of the older revision, and read models with the numbers that it stored."""
    store = open_store(f"sqlite:///{tmp_path}/runs.db")
    for name in STEPS:
        created = encode(RunCreated(**STAMP, event_id=f"run of {name}", born=1))
        write = StreamWrite(run_id(name), 0, (created, of_revision_2(name)))
        store.append([(write,)])
    with monkeypatch.context() as as_stored:
        as_stored.setitem(upcasters.UPCASTERS, ("run.step_recorded", 2), lambda facts: facts)
        live = LiveReadModels(store, tmp_path / "runs.duckdb")
        live.catch_up()
    yield Older(store, live)
    live.close()
    store.close()


def test_a_replay_names_exactly_the_steps_that_change(older: Older) -> None:
    made = build(older.store, older.live.path)
    found = Operations(older.store, older.live).compare(made.number)
    tables = {table.table: table for table in found.tables}
    expected = {run_id(name): change for name, (_, change) in STEPS.items() if change}
    for table in (tables["steps"], tables["runs"]):
        told = {
            row.key["run_id"]: {
                cell.column: cell.new for cell in row.cells if cell.column in COLUMNS
            }
            for row in table.sample
            if any(cell.column in COLUMNS for cell in row.cells)
        }
        assert told == {
            run: {column: str(number) for column, number in change.items()}
            for run, change in expected.items()
        }
    assert any("an older version" in (e.note or "") for e in found.explanations)


def test_one_run_is_read_by_the_same_rule(older: Older, tmp_path: Path) -> None:
    async def views() -> None:
        async with RunLedger.open(
            f"sqlite:///{tmp_path}/runs.db", tmp_path / "other.duckdb"
        ) as own:
            for name, (stored, change) in STEPS.items():
                (view,) = await own.get_run_steps(run_id(name))
                assert {c: getattr(view, c) for c in COLUMNS} == {
                    column: {**stored, **change}.get(column) for column in COLUMNS
                }

    asyncio.run(views())


def test_doctor_counts_rules_and_totals_that_are_not_the_sum(tmp_path: Path) -> None:
    url, read_models = f"sqlite:///{tmp_path}/runs.db", tmp_path / "runs.duckdb"
    cached = {"cached_tokens": 3_000}

    async def record() -> None:
        async with RunLedger.open(url, read_models) as ledger:
            run = await ledger.create_run("agent-1")
            for facts in (
                {"provider": "anthropic"},
                {"provider": "a gateway", "total_tokens": 5},
                {"input_includes_cache": False},
                {"input_includes_cache": True, "total_tokens": 7_010},
            ):
                await ledger.record_step(
                    run.run_id,
                    prompt_tokens=4_000,
                    completion_tokens=10,
                    prompt_tokens_details=cached,
                    **facts,  # type: ignore[arg-type]
                )
            await ledger.list_runs()

    asyncio.run(record())
    found = {check.name: check for check in examine(url, read_models)}
    told = found["input tokens split by"]
    assert told[1:] == ("ok", "contradicted 1, default 1, provider 1, stated 1")
    assert "output tokens split by" not in found
    assert found["stated against arithmetic"].state == "note"
    assert found["totals that are not the sum"].found.startswith("1 steps, such as one of run-")
