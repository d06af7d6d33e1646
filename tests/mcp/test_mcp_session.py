"""A session with the official client: an agent lists runs, asks why one failed, and is refused."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters

from runledger import Actor, RunLedger

ASKED_IN = 60.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger with a completed and a failed run of one organization, and a run of another."""
    made = tmp_path_factory.mktemp("mcp")

    async def fill() -> None:
        async with RunLedger.open(f"sqlite:///{made}/runs.db") as ledger:
            done = await ledger.create_run("agent-1")
            await ledger.record_step(done.run_id, model="m", total_tokens=10)
            await ledger.complete_run(done.run_id, run_ns=10**9)
            failed = await ledger.create_run("agent-1", metadata={"team": "red"})
            call = {"id": "call-1", "function": {"name": "refund", "arguments": "{}"}}
            await ledger.record_step(
                failed.run_id,
                model="m",
                total_tokens=90,
                messages=[
                    {"role": "assistant", "content": "x" * 10_000, "tool_calls": [call]},
                    {
                        "role": "tool",
                        "tool_returns": [{"tool_call_id": "call-1", "status": "error"}],
                    },
                ],
            )
            await ledger.fail_run(failed.run_id, error_type="RefundError", error_message="no")
            other = ledger.as_actor(Actor("org-other"))
            await other.create_run("agent-1")

    asyncio.run(fill())
    return made


class Session:
    """A connected client, whose answers are read as JSON."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def ask(self, tool: str, **arguments: Any) -> Any:
        result = await self.client.call_tool(tool, arguments)
        assert not result.is_error, result.content
        return json.loads(result.content[0].text)  # type: ignore[union-attr]

    async def refused(self, tool: str, **arguments: Any) -> str:
        result = await self.client.call_tool(tool, arguments)
        assert result.is_error
        return str(result.content[0].text)  # type: ignore[union-attr]


def hold(folder: Path, talk: Callable[[Session], Awaitable[None]], *options: str) -> None:
    """Start the server and talk to it; it ends with the session."""
    words = ["-m", "runledger", "--store", f"sqlite:///{folder}/runs.db"]
    words += ["--read-models", str(folder / "runs.duckdb"), *options, "mcp"]

    async def session() -> None:
        server = StdioServerParameters(command=sys.executable, args=words)
        async with Client(server, read_timeout_seconds=ASKED_IN) as client:
            await talk(Session(client))

    asyncio.run(session())


@pytest.mark.slow
def test_an_agent_asks_what_failed_and_why(folder: Path) -> None:
    async def talk(session: Session) -> None:
        tools = {tool.name: tool for tool in (await session.client.list_tools()).tools}
        assert set(tools) == {
            *("list_runs", "show_run", "explain_run", "where", "usage", "percentiles", "sql")
        }
        for tool in tools.values():
            assert tool.annotations is not None
            assert tool.annotations.read_only_hint
            assert tool.description

        known = await session.ask("where")
        assert known["columns"]["runs"]["status"].startswith("text: created, running")
        assert "model" in known["columns"]["steps"]

        where = "status = 'failed' AND any_tool(name = 'refund' AND status = 'error')"
        checked = await session.ask("where", condition=where)
        assert checked["usage"]["total_tokens"] == 90
        (run,) = (await session.ask("list_runs", where=where))["runs"]
        assert run["error_type"] == "RefundError"
        why = await session.ask("explain_run", run_id=run["run_id"])
        assert why["error_message"] == "no"
        assert why["facts"][0]["failed_call"]["id"] == "call-1"

        whole = await session.ask("show_run", run_id=run["run_id"])
        assert whole["run"]["metadata"] == {"team": "red"}
        assert "10,000 characters" in json.dumps(whole)
        (group,) = (await session.ask("usage", by=["agent"]))["groups"]
        assert group["total_tokens"] == 100
        (spans,) = (await session.ask("percentiles", where="status = 'completed'"))["groups"]
        assert spans["p50"] == 10**9
        rows = await session.ask("sql", statement="SELECT count(*) FROM runs")
        assert rows["rows"] == [[3]]

    hold(folder, talk)


@pytest.mark.slow
def test_refusals_say_what_to_ask_instead(folder: Path) -> None:
    async def talk(session: Session) -> None:
        tools = {tool.name for tool in (await session.client.list_tools()).tools}
        # It sees all organizations, and this server is that of one.
        assert "sql" not in tools
        assert (await session.ask("list_runs"))["runs"][0]["agent_id"] == "agent-1"
        assert len((await session.ask("list_runs"))["runs"]) == 1
        said = await session.refused("list_runs", where="statsu = 'failed'")
        assert "column 1" in said
        assert "did you mean status" in said
        assert "not found" in await session.refused(
            "show_run", run_id="run-00000000-0000-4000-8000-000000000000"
        )
        assert await session.refused("list_runs", limit=10_000)

    hold(folder, talk, "--organization", "org-other")


def test_an_answer_has_no_more_rows_than_fit() -> None:
    from runledger.mcp.answers import MOST_CHARACTERS, listed

    text = listed("rows", [{"n": n, "text": "x" * 5_000} for n in range(100)], position=1)
    answer = json.loads(text)
    assert len(text) <= MOST_CHARACTERS + 100
    assert answer["left_out"] == 100 - len(answer["rows"]) > 0
    assert answer["position"] == 1
