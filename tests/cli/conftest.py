"""The command line on a store with a few real runs in it."""

import asyncio
from pathlib import Path

import pytest
from command_line import RUN, STEP, Command, Outcome
from typer.testing import CliRunner

from runledger import RunLedger
from runledger.cli.main import app


@pytest.fixture
def runledger(tmp_path: Path) -> Command:
    """Runs a command line on the store and read models of this test."""

    def run(*words: str, input: str | None = None, env: dict[str, str] | None = None) -> Outcome:
        settings = {
            "RUNLEDGER_STORE": f"sqlite:///{tmp_path}/runs.db",
            "RUNLEDGER_READ_MODELS": str(tmp_path / "runs.duckdb"),
            **(env or {}),
        }
        result = CliRunner().invoke(app, list(words), input=input, env=settings)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Outcome(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A folder with a store in it: a completed, a failed and a running run."""

    async def make() -> None:
        async with RunLedger.open(f"sqlite:///{tmp_path}/runs.db") as ledger:
            for number, agent in enumerate(("agent-a", "agent-a", "agent-b"), 1):
                run_id = RUN.format(number)
                await ledger.create_run(agent, run_id=run_id, status="running", metadata={"n": 1})
            await ledger.record_step(
                RUN.format(1),
                step_id=STEP,
                provider="openai",
                model="gpt-4.1",
                prompt_tokens=812,
                completion_tokens=40,
                prompt_tokens_details={"cached_tokens": 512},
                messages=[
                    {"role": "user", "content": "hello"},
                    {
                        "role": "assistant",
                        "tool_calls": [
                            {"id": "c1", "function": {"name": "search", "arguments": "{}"}}
                        ],
                    },
                ],
            )
            await ledger.complete_run(RUN.format(1), run_ns=2_500_000_000)
            await ledger.fail_run(
                RUN.format(2), error_type="Boom", error_message="it \x1b[31mbroke", run_ns=10_000
            )

    asyncio.run(make())
    return tmp_path
