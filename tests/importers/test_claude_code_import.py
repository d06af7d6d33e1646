"""Sessions of Claude Code become runs: every call once, in the run of its prompt."""

import asyncio
import copy
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from claude_code_session import SESSION, Lines, answer, result, text, tool, uuid, write

from runledger import RunLedger
from runledger.ids import derived_id
from runledger.importers.claude_code.importer import ClaudeCodeImport
from runledger.importers.report import ImportReport
from runledger.run import Actor

pytestmark = pytest.mark.one_database

Open = Callable[[], RunLedger]
OTHER = "9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d"


def in_ledger(open_ledger: Open, question: Callable[[RunLedger], Awaitable[Any]]) -> Any:
    async def answered() -> Any:
        async with open_ledger() as ledger:
            return await question(ledger)

    return asyncio.run(answered())


async def bring(ledger: RunLedger, *paths: Path, **options: Any) -> ImportReport:
    return await ClaudeCodeImport(ledger.store, ledger.handler, Actor(), **options).run(paths)


def one_turn() -> Lines:
    lines = Lines()
    lines.add("file-history-snapshot")
    lines.prompt("list the files")
    lines.answer("msg_1", {"type": "thinking", "thinking": "hm", "signature": "s"})
    lines.answer("msg_1", text("I look."), usage={"output_tokens": 9})
    lines.answer("msg_1", tool("toolu_1", command="ls"), usage={"output_tokens": 9})
    lines.result("toolu_1", [{"type": "text", "text": "a.py"}])
    lines.answer("msg_2", text("There is a.py."), stop_reason="end_turn")
    lines.add("system", subtype="turn_duration", durationMs=7_500)
    return lines


def test_a_prompt_and_what_followed_is_a_run(open_ledger: Open, tmp_path: Path) -> None:
    path = write(tmp_path / f"{SESSION}.jsonl", one_turn().lines)

    async def check(ledger: RunLedger) -> None:
        report = await bring(ledger, path, by_folder=True)
        assert (report.recorded, report.refused, report.not_understood) == (1, 0, {})
        (run,) = await ledger.list_runs()
        assert run.agent_id == "agent-claude-code"
        assert run.conversation_id == f"conversation-{SESSION}"
        assert run.project_id == "shop"
        assert (run.status, run.stop_reason, run.run_ns) == ("completed", "end_turn", 7_500_000_000)
        assert run.metadata["session_id"] == SESSION
        assert run.tools_used == ["Bash"]
        steps = await ledger.get_run_steps(run.run_id)
        assert [s.completion_tokens for s in steps] == [9, 1]
        assert [s.tags for s in steps] == [["output-partial"], []]
        first = steps[0]
        assert (first.provider_name, first.model) == ("anthropic", "claude-opus-4-5")
        assert (first.prompt_tokens, first.cache_read_tokens, first.cache_write_tokens) == (
            10,
            1_000,
            30,
        )
        assert first.prompt_tokens_details is not None
        assert first.prompt_tokens_details["ephemeral_1h_input_tokens"] == 10
        messages = await ledger.get_stored_messages(run.run_id)
        assert [m.role for m in messages] == [
            "user", "assistant", "assistant", "assistant", "tool", "assistant",
        ]  # fmt: skip
        assert messages[4].step_id == first.step_id
        assert (await ledger.sql("SELECT name, status FROM tool_calls"))[1] == [("Bash", "success")]

    in_ledger(open_ledger, check)


def test_again_changes_nothing(open_ledger: Open, tmp_path: Path) -> None:
    path = write(tmp_path / f"{SESSION}.jsonl", one_turn().lines)

    async def check(ledger: RunLedger) -> None:
        first = await bring(ledger, tmp_path)
        again = await bring(ledger, path, tmp_path)
        assert (first.recorded, first.events > 0) == (1, True)
        assert (again.recorded, again.extended, again.unchanged, again.events) == (0, 0, 1, 0)
        assert again.refusals == []

    in_ledger(open_ledger, check)


@pytest.mark.parametrize("cut", range(1, 9))
def test_a_growing_file_adds_what_is_new(open_ledger: Open, tmp_path: Path, cut: int) -> None:
    lines = one_turn().lines
    path = tmp_path / f"{SESSION}.jsonl"

    async def totals(ledger: RunLedger) -> Any:
        (run,) = await ledger.list_runs()
        return run.status, run.num_steps, run.completion_tokens, run.run_ns, run.tools_used

    async def check(ledger: RunLedger) -> None:
        # Lines that are new at this moment: neither the turn nor its last answer counts as over.
        late = (datetime.now(UTC)).isoformat()
        now = [{**line, "timestamp": late} for line in lines]
        write(path, now[:cut])
        await bring(ledger, path)
        write(path, now)
        report = await bring(ledger, path)
        assert report.refusals == []
        assert await totals(ledger) == ("completed", 2, 10, 7_500_000_000, ["Bash"])

    in_ledger(open_ledger, check)


def test_a_fork_repeats_history_that_counts_once(open_ledger: Open, tmp_path: Path) -> None:
    original = one_turn()
    copied = Lines(OTHER, first=100)
    copied.lines = [{**line, "sessionId": OTHER} for line in copy.deepcopy(original.lines)]
    copied.prompt("and now the folders")
    copied.answer("msg_3", text("None."))
    write(tmp_path / f"{OTHER}.jsonl", copied.lines)
    write(tmp_path / f"{SESSION}.jsonl", original.lines)

    async def check(ledger: RunLedger) -> None:
        report = await bring(ledger, tmp_path)
        assert (report.recorded, report.unchanged, report.refused) == (2, 1, 0)
        (total,) = await ledger.usage_totals()
        assert (total.steps, total.cache_read_tokens) == (3, 3_000)

    in_ledger(open_ledger, check)


def test_a_call_that_is_copied_under_other_ids_counts_once(
    open_ledger: Open, tmp_path: Path
) -> None:
    other = Lines(OTHER, first=500)
    other.prompt("list the files")
    other.answer("msg_2", text("There is a.py."))
    write(tmp_path / "a" / f"{SESSION}.jsonl", one_turn().lines)
    write(tmp_path / "b" / f"{OTHER}.jsonl", other.lines)

    async def check(ledger: RunLedger) -> None:
        await bring(ledger, tmp_path)
        (total,) = await ledger.usage_totals()
        assert total.steps == 2

    in_ledger(open_ledger, check)


def with_sub_agent(lines: Lines) -> None:
    lines.prompt("ask an agent")
    lines.answer("msg_1", tool("toolu_task", "Task", subagent_type="Explore", prompt="look"))


@pytest.mark.parametrize("place", ["progress", "own file", "folder", "both"])
def test_calls_of_a_sub_agent_belong_to_the_run_that_started_it(
    open_ledger: Open, tmp_path: Path, place: str
) -> None:
    lines = Lines()
    with_sub_agent(lines)
    inside = answer("msg_sub", tool("toolu_sub", "Grep"), model="claude-haiku-4-5")
    if place in ("progress", "both"):
        lines.progress("toolu_task", "assistant", inside)
        lines.progress("toolu_task", "user", {"role": "user", "content": [result("toolu_sub")]})
    if place != "progress":
        own = Lines(first=700, isSidechain=True, agentId="a1")
        own.prompt("look")
        own.add("assistant", message=inside)
        own.result("toolu_sub")
        for line, after in zip(own.lines, lines.lines[1:] * 3, strict=False):
            line["timestamp"] = after["timestamp"]
        folder = tmp_path / SESSION / "subagents" if place == "folder" else tmp_path
        write(folder / "agent-a1.jsonl", own.lines)
    # Its total is the last call's context: it is not usage.
    lines.result("toolu_task", toolUseResult={"agentId": "a1", "totalTokens": 88_183})
    lines.answer("msg_2", text("Found."))
    lines.prompt("thanks")
    lines.answer("msg_3", text("Welcome."))
    write(tmp_path / f"{SESSION}.jsonl", lines.lines)

    async def check(ledger: RunLedger) -> None:
        report = await bring(ledger, tmp_path)
        assert (report.recorded, report.refused, report.not_understood) == (2, 0, {})
        later, first = await ledger.list_runs()
        assert (first.num_steps, later.num_steps) == (3, 1)
        assert first.tools_used == ["Grep", "Task"]
        steps = {step.model: step for step in await ledger.get_run_steps(first.run_id)}
        assert steps["claude-haiku-4-5"].tags == ["subagent:Explore", "output-partial"]
        assert (await ledger.sql("SELECT DISTINCT status FROM tool_calls"))[1] == [("success",)]

    in_ledger(open_ledger, check)


def interrupted(lines: Lines) -> None:
    lines.answer("msg_1", tool("toolu_1"))
    lines.add("user", message={"content": [text("[Request interrupted by user for tool use]")]})


def failed(lines: Lines) -> None:
    said = {"id": "e", "model": "<synthetic>", "content": [text("API Error: 529")]}
    lines.add("assistant", message=said, isApiErrorMessage=True)


def abandoned(lines: Lines) -> None:
    lines.answer("msg_1", tool("toolu_1"))


def resumed(lines: Lines) -> None:
    lines.answer("msg_1", text("Done."))
    said = {"id": "e", "model": "<synthetic>", "content": [text("No response requested.")]}
    lines.add("assistant", message=said, isApiErrorMessage=False)


@pytest.mark.parametrize(
    ("happens", "expected"),
    [
        (interrupted, ("cancelled", "cancelled", None)),
        (failed, ("failed", "llm_api_error", "api_error")),
        (abandoned, ("failed", "error", "lost")),
        (resumed, ("completed", "end_turn", None)),
    ],
)
def test_a_turn_ends_as_its_last_word_says(
    open_ledger: Open, tmp_path: Path, happens: Callable[[Lines], None], expected: Any
) -> None:
    lines = Lines()
    lines.prompt("do it")
    happens(lines)
    write(tmp_path / f"{SESSION}.jsonl", lines.lines)

    async def check(ledger: RunLedger) -> None:
        await bring(ledger, tmp_path)
        (run,) = await ledger.list_runs()
        assert (run.status, run.stop_reason, run.error_type) == expected

    in_ledger(open_ledger, check)


def test_what_is_no_prompt_begins_no_run(open_ledger: Open, tmp_path: Path) -> None:
    lines = one_turn()
    lines.answer("msg_9", {"type": ["odd"]}, {"type": "server_tool_use"})
    lines.prompt("caveat", isMeta=True)
    lines.prompt("<command-name>/model</command-name>")
    lines.prompt("<local-command-stdout>Set model</local-command-stdout>")
    lines.add("system", subtype="compact_boundary", compactMetadata={"preTokens": 5})
    lines.prompt("summary of all", isCompactSummary=True)
    lines.add("summary")
    lines.add("from-the-future")
    lines.add("progress", data={"type": "bash_progress"})
    path = write(tmp_path / f"{SESSION}.jsonl", lines.lines)
    path.write_text(path.read_text() + "not json\n" + '{"type": "us')

    async def check(ledger: RunLedger) -> None:
        report = await bring(ledger, tmp_path)
        assert report.recorded == 1
        assert report.not_understood == {
            "line of type from-the-future": 1,
            "content of type ['odd']": 1,
            "content of type server_tool_use": 1,
        }
        assert [refusal.place for refusal in report.refusals] == [f"{path}: line 18"]

    in_ledger(open_ledger, check)


def test_other_counts_of_a_recorded_step_are_told(open_ledger: Open, tmp_path: Path) -> None:
    path = write(tmp_path / f"{SESSION}.jsonl", one_turn().lines)

    async def check(ledger: RunLedger) -> None:
        await bring(ledger, path)
        lines = one_turn()
        lines.lines[6]["message"]["usage"]["output_tokens"] = 700
        report = await bring(ledger, write(path, lines.lines))
        (refusal,) = report.refusals
        assert "completion_tokens: expected 1, as recorded, found 700" in refusal.reason

    in_ledger(open_ledger, check)


def test_each_organization_has_runs_of_its_own(open_ledger: Open, tmp_path: Path) -> None:
    path = write(tmp_path / f"{SESSION}.jsonl", one_turn().lines)

    async def check(ledger: RunLedger) -> None:
        for name in ("org-a", "org-b"):
            importing = ClaudeCodeImport(ledger.store, ledger.handler, Actor(name))
            assert (await importing.run([path])).recorded == 1
            run_id = derived_id("run", "claude-code", name, uuid(2))
            assert (await ledger.get_run_by_id(run_id, actor=Actor(name))).num_steps == 2

    in_ledger(open_ledger, check)


def test_a_turn_that_goes_on_is_running(open_ledger: Open, tmp_path: Path) -> None:
    lines = Lines()
    lines.prompt("begin")
    lines.answer("msg_1", text("working"))
    for line, minutes in zip(lines.lines, (10, 6), strict=True):
        line["timestamp"] = (datetime.now(UTC) - timedelta(minutes=minutes)).isoformat()
    write(tmp_path / f"{SESSION}.jsonl", lines.lines)

    async def check(ledger: RunLedger) -> None:
        await bring(ledger, tmp_path)
        (run,) = await ledger.list_runs()
        assert (run.status, run.num_steps) == ("running", 1)

    in_ledger(open_ledger, check)
