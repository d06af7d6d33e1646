"""Questions beside a process that holds the read models are answered by that process."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from test_requests import Holder
from typer.testing import CliRunner

from projections.operator.held import MOST_ROWS, HeldReadModels
from runledger import RunLedger
from runledger.cli.main import app
from runledger.errors import InvalidArgument, NotFound, ReadModelsLocked
from runledger.ids import new_id
from runledger.ledger.opening import Opening

pytestmark = pytest.mark.slow

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/runs.db"


@pytest.fixture
def read_models(tmp_path: Path) -> Path:
    return tmp_path / "runs.duckdb"


def held(url: str, path: Path) -> RunLedger:
    """A ledger that asks the holder."""
    return RunLedger(Opening(url=url, read_models=path, ask_holder=True))


async def make_runs(ledger: RunLedger) -> list[str]:
    """Record runs of every fate."""
    await ledger.register_agent("agent-a", project_id="p")
    runs = []
    for number, reason in enumerate(("end_turn", "error", "cancelled", None)):
        run = await ledger.create_run(
            "agent-a", metadata={"$date": "2026-01-01", "n": number}, status="running",
            callback_url="https://example.com/done", at=START + timedelta(minutes=number),
        )  # fmt: skip
        step_id = await ledger.record_step(
            run.run_id, provider="openai", model="gpt", prompt_tokens=number, tags=["x"],
            prompt_tokens_details={"cached_tokens": 0}, at=START + timedelta(minutes=number),
        )  # fmt: skip
        await ledger.record_step_feedback(step_id, "positive", run_id=run.run_id)
        if reason:
            await ledger.update_run(run.run_id, stop_reason=reason, total_duration_ns=number)
        runs.append(run.run_id)
    return runs


def test_every_question_is_answered_as_in_the_process_that_holds_them(
    url: str, read_models: Path
) -> None:
    async def ask() -> None:
        async with RunLedger.open(url, read_models) as holder:
            runs = await make_runs(holder)
            async with held(url, read_models) as ledger:
                assert isinstance(ledger.read_models, HeldReadModels)
                (step, *_) = await holder.list_steps()
                for name, options in (
                    ("list_runs", {}),
                    ("list_runs", {"run_id": runs[0]}),
                    ("list_runs", {"after": runs[2], "limit": 1, "statuses": ["failed"]}),
                    ("list_runs", {"order_by": "duration", "duration_percentile": 50}),
                    ("list_runs", {"start_date": START, "duration_filter": {"value": 1}}),
                    ("run_durations", {"agent_id": "agent-a"}),
                    ("list_steps", {"tags": ["x"], "has_feedback": True, "order": "asc"}),
                    ("get_step", {"step_id": step.step_id}),
                    ("usage_totals", {"by": ["model", "day"], "since": date(2020, 1, 1)}),
                    ("duration_percentiles", {"by": ["day", "agent"]}),
                    ("list_agents", {}),
                    ("list_callbacks", {"statuses": ["pending"], "since": START}),
                    ("sql", {"statement": "SELECT run_id, created_at, run_ns, metadata, tools_used,"
                             " 1.5::DECIMAL(4, 2), DATE '2026-01-01' FROM runs ORDER BY ALL"}),
                ):  # fmt: skip
                    here = await getattr(holder, name)(**options)
                    there = await getattr(ledger, name)(**options)
                    assert here == there, name
                    assert here, name
                new = await holder.create_run("agent-b")
                # The holder catches up before it answers.
                assert (await ledger.list_runs(agent_id="agent-b")) == [new]
                own = await ledger.create_run("agent-b")
                assert [r.run_id for r in await ledger.list_runs(agent_id="agent-b")] == [
                    own.run_id, new.run_id]  # fmt: skip
                done = await ledger.cancel_runs(agent_id="agent-b")
                assert len(done) == 2
                assert await ledger.expire_runs(older_than=timedelta(0)) != []
                assert await ledger.project() == holder.store.head()
                assert ledger.read_models.position == holder.store.head()
                past = await ledger.list_runs(as_of=holder.store.head())
                assert past == await holder.list_runs()

    asyncio.run(ask())


def test_errors_are_those_of_the_process_that_holds_them(url: str, read_models: Path) -> None:
    async def ask() -> None:
        async with RunLedger.open(url, read_models), held(url, read_models) as ledger:
            with pytest.raises(NotFound, match="cursor of a page"):
                await ledger.list_runs(after=new_id("run"))
            with pytest.raises(NotFound):
                await ledger.get_step(new_id("step"))
            with pytest.raises(InvalidArgument, match="group by"):
                await ledger.usage_totals(by=["nonsense"])
            with pytest.raises(InvalidArgument, match="expected one SELECT"):
                await ledger.sql("DROP TABLE runs")
            with pytest.raises(InvalidArgument, match=f"{MOST_ROWS:,} rows at most"):
                await ledger.sql(f"SELECT * FROM range({MOST_ROWS + 1})")
            assert len((await ledger.sql(f"SELECT * FROM range({MOST_ROWS})"))[1]) == MOST_ROWS
            with pytest.raises(InvalidArgument, match="found a timedelta"):
                await ledger.sql("SELECT INTERVAL 1 DAY")

    asyncio.run(ask())


@pytest.fixture
def holder(url: str, read_models: Path) -> Iterator[Holder]:
    """Another process that holds the read models."""

    async def make() -> None:
        async with RunLedger.open(url) as ledger:
            await make_runs(ledger)

    asyncio.run(make())
    started = Holder(url, read_models)
    yield started
    started.process.kill()
    started.process.wait()


def test_the_command_line_works_beside_another_process(
    holder: Holder, url: str, read_models: Path
) -> None:
    with pytest.raises(ReadModelsLocked):
        asyncio.run(RunLedger.open(url, read_models).__aenter__())
    settings = {"RUNLEDGER_STORE": url, "RUNLEDGER_READ_MODELS": str(read_models)}

    def command(*words: str) -> str:
        done = CliRunner().invoke(app, list(words), env=settings)
        assert done.exit_code == 0, done.output
        return done.stdout

    assert len(json.loads(command("runs", "list", "--json"))) == 4
    assert len(json.loads(command("runs", "list", "--status", "failed", "--json"))) == 1
    (row,) = json.loads(command("usage", "--by", "model", "--json"))
    assert row["prompt_tokens"] == 6  # 0 + 1 + 2 + 3
    for words in (("percentiles",), ("agents",), ("callbacks", "list"), ("project",)):
        command(*words)
    assert "4" in command("sql", "SELECT count(*) FROM runs")
    holder.process.kill()
    holder.process.wait()
    # The socket of a killed process is in nobody's way.
    assert len(json.loads(command("runs", "list", "--json"))) == 4


def test_a_process_that_holds_the_file_and_answers_nothing_is_named(
    url: str, read_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runledger.ledger.opening._PATIENCE_SECONDS", 0.5)
    program = (
        f"import duckdb; db = duckdb.connect({str(read_models)!r}); print(flush=True); input()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", program],
        env=dict(os.environ),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdout is not None
    other.stdout.readline()
    with pytest.raises(ReadModelsLocked):
        asyncio.run(held(url, read_models).__aenter__())
    other.communicate("\n")
