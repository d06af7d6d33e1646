"""Law: however a folder of sessions grows, it comes to what one import of all of it comes to."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from claude_code_session import SESSION, Lines, answer, text, tool
from hypothesis import given
from hypothesis import strategies as st

from runledger import RunLedger
from runledger.importers.claude_code.importer import ClaudeCodeImport
from runledger.importers.claude_code.watch import ClaudeCodeWatch
from runledger.run import Actor

pytestmark = pytest.mark.slow

OTHER = "9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d"
AGENT = f"{SESSION}/subagents/agent-a1"


def story() -> dict[str, list[dict[str, Any]]]:
    """A session with a sub-agent, told by its file and in part by the session's, and its fork."""
    lines, own = Lines(), Lines(first=40, isSidechain=True, agentId="a1")
    inside = answer("msg_sub", tool("toolu_sub", "Grep"))
    lines.prompt("ask an agent")
    lines.answer("msg_1", text("I ask."))
    lines.answer("msg_1", tool("toolu_task", "Task", subagent_type="Explore"))
    told = lines.progress("toolu_task", "assistant", inside)
    own.prompt("look")
    own.add("assistant", message=inside)
    own.result("toolu_sub")
    own.add("assistant", message=answer("msg_sub2", text("Found.")))
    for line in own.lines:
        line["timestamp"] = told["timestamp"]
    lines.result("toolu_task", toolUseResult={"agentId": "a1"})
    lines.answer("msg_2", text("Done."), usage={"output_tokens": 50})
    fork = [{**line, "sessionId": OTHER} for line in lines.lines]
    lines.prompt("thanks")
    lines.answer("msg_3", tool("toolu_3"))
    lines.result("toolu_3")
    lines.answer("msg_4", text("Welcome."))
    lines.add("system", subtype="turn_duration", durationMs=5)
    other = Lines(OTHER, first=500)
    other.prompt("something else")
    other.answer("msg_5", text("Yes."))
    other.add("system", subtype="turn_duration", durationMs=7)
    files = {SESSION: lines.lines, AGENT: own.lines, OTHER: fork + other.lines}
    began = datetime.now(UTC) - timedelta(seconds=60)
    order = sorted({line["timestamp"] for file in files.values() for line in file})
    for name, file in files.items():
        files[name] = [
            {**line, "timestamp": (began + timedelta(milliseconds=order.index(line["timestamp"]))).isoformat()}
            for line in file
        ]  # fmt: skip
    return files


async def outcome(ledger: RunLedger) -> Any:
    questions = (
        "SELECT run_id, status, stop_reason, run_ns, num_steps FROM runs ORDER BY run_id",
        "SELECT step_id, run_id, prompt_tokens, completion_tokens, cache_read_tokens FROM steps ORDER BY step_id",
        "SELECT tool_call_id, run_id, name, status FROM tool_calls ORDER BY tool_call_id",
    )
    said = [(await ledger.sql(question))[1] for question in questions]
    runs = [run.run_id for run in await ledger.list_runs()]
    messages = [sorted(m.id for m in await ledger.get_stored_messages(run)) for run in sorted(runs)]
    return [*said, messages]


@given(st.data())
def test_a_folder_comes_to_the_same_however_it_grows(data: st.DataObject) -> None:
    files = story()
    whole = {
        name: "".join(json.dumps(line) + "\n" for line in lines).encode()
        for name, lines in files.items()
    }
    # A sub-agent's file is not written before the session that starts it is.
    first = len(json.dumps(files[SESSION][0])) + 1
    pieces = [(SESSION, first), *data.draw(st.permutations([
        (name, end)
        for name, content in whole.items()
        for end in data.draw(st.lists(st.integers(0, len(content)), max_size=4))
    ]))]  # fmt: skip
    restarts = data.draw(st.sets(st.integers(0, len(pieces))))

    async def grown(folder: Path) -> Any:
        projects = folder / "projects"
        async with RunLedger.open(f"sqlite:///{folder}/r.db", folder / "r.duckdb") as ledger:
            there = dict.fromkeys(whole, 0)
            watch = None
            for number, (name, end) in enumerate(
                [*pieces, *((n, len(c)) for n, c in whole.items())]
            ):
                path = projects / f"{name}.jsonl"
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("ab") as file:
                    file.write(whole[name][there[name] : end])
                there[name] = max(there[name], end)
                if watch is None or number in restarts:
                    importing = ClaudeCodeImport(ledger.store, ledger.handler, Actor())
                    watch = ClaudeCodeWatch(importing, [projects])
                assert (await watch.look()).refusals == []
            return await outcome(ledger)

    async def at_once(folder: Path) -> Any:
        for name, content in whole.items():
            path = folder / "projects" / f"{name}.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        async with RunLedger.open(f"sqlite:///{folder}/r.db", folder / "r.duckdb") as ledger:
            importing = ClaudeCodeImport(ledger.store, ledger.handler, Actor())
            assert (await importing.run([folder / "projects"])).refusals == []
            return await outcome(ledger)

    with TemporaryDirectory() as one, TemporaryDirectory() as other:
        assert asyncio.run(grown(Path(one))) == asyncio.run(at_once(Path(other)))
