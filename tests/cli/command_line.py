"""Shared by tests of the command line: a folder with runs, a command on it, and its result."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from runledger import RunLedger
from runledger.cli.main import app

RUN = "run-00000000-0000-4000-8000-00000000000{}"
STEP = "step-00000000-0000-4000-8000-000000000001"


@dataclass
class Outcome:
    """The result of a command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Command = Callable[..., Outcome]


def command(folder: Path) -> Command:
    """Return what runs a command line on the store and read models in a folder."""

    def run(*words: str, input: str | None = None, env: dict[str, str] | None = None) -> Outcome:
        settings = {
            "RUNLEDGER_STORE": f"sqlite:///{folder}/runs.db",
            "RUNLEDGER_READ_MODELS": str(folder / "runs.duckdb"),
            **(env or {}),
        }
        result = CliRunner().invoke(app, list(words), input=input, env=settings)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Outcome(result.exit_code, result.stdout, result.stderr)

    return run


def with_runs(folder: Path) -> Path:
    """Make a store in a folder: a completed, a failed and a running run; return the folder."""

    async def make() -> None:
        async with RunLedger.open(f"sqlite:///{folder}/runs.db") as ledger:
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
    return folder
