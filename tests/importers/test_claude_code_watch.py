"""A watch of Claude Code's sessions: what is true of the files at a moment is true of the ledger."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from claude_code_session import SESSION, Lines, answer, result, text, tool, write

from runledger import RunLedger
from runledger.importers.claude_code.importer import ClaudeCodeImport
from runledger.importers.claude_code.watch import ClaudeCodeWatch
from runledger.importers.report import ImportReport
from runledger.run import Actor

pytestmark = pytest.mark.slow


def followed(tmp_path: Path, story: Callable[[RunLedger, Path], Awaitable[None]]) -> None:
    async def told() -> None:
        (tmp_path / "projects").mkdir()
        async with RunLedger.open(f"sqlite:///{tmp_path}/r.db", tmp_path / "r.duckdb") as ledger:
            await story(ledger, tmp_path / "projects")

    asyncio.run(told())


def watching(ledger: RunLedger, folder: Path) -> ClaudeCodeWatch:
    return ClaudeCodeWatch(ClaudeCodeImport(ledger.store, ledger.handler, Actor()), [folder])


def append(path: Path, *lines: dict[str, Any]) -> None:
    """Add lines that are written at this moment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        for line in lines:
            line["timestamp"] = datetime.now(UTC).isoformat()
            file.write(json.dumps(line) + "\n")


async def counts(ledger: RunLedger) -> list[tuple[str, int]]:
    return [(run.status, run.num_steps) for run in await ledger.list_runs(ascending=True)]


def test_usage_is_true_while_a_session_goes_on(tmp_path: Path) -> None:
    async def story(ledger: RunLedger, folder: Path) -> None:
        watch, lines = watching(ledger, folder), Lines()
        path = folder / "shop" / f"{SESSION}.jsonl"
        append(path, lines.prompt("begin"))
        await watch.look()
        assert await counts(ledger) == [("running", 0)]
        # An answer is complete once its tool has returned, and not while it is written.
        append(path, lines.answer("msg_1", text("I look.")))
        await watch.look()
        assert await counts(ledger) == [("running", 0)]
        append(path, lines.answer("msg_1", tool("toolu_1")), lines.result("toolu_1"))
        await watch.look()
        assert await counts(ledger) == [("running", 1)]
        append(path, lines.answer("msg_2", text("Done.")), lines.prompt("more"))
        await watch.look()
        assert await counts(ledger) == [("completed", 2), ("running", 0)]
        append(path, lines.answer("msg_3", text("Yes."), stop_reason="end_turn"))
        await watch.look()
        assert await counts(ledger) == [("completed", 2), ("running", 1)]
        append(path, lines.add("system", subtype="turn_duration", durationMs=5))
        await watch.look()
        assert await counts(ledger) == [("completed", 2), ("completed", 1)]
        assert (await watch.look()).unchanged == 0

    followed(tmp_path, story)


def test_a_sub_agent_that_works_past_its_turn_stays_in_its_run(tmp_path: Path) -> None:
    async def story(ledger: RunLedger, folder: Path) -> None:
        watch, lines = watching(ledger, folder), Lines()
        path = folder / f"{SESSION}.jsonl"
        own = folder / SESSION / "subagents" / "agent-a1.jsonl"
        inside = Lines(first=500, isSidechain=True, agentId="a1")
        append(path, lines.prompt("ask"), lines.answer("msg_1", tool("toolu_task", "Task")))
        append(own, inside.prompt("look"))
        append(path, lines.result("toolu_task", toolUseResult={"agentId": "a1"}))
        append(path, lines.prompt("meanwhile"), lines.answer("msg_2", text("Hm.")))
        await watch.look()
        assert await counts(ledger) == [("completed", 1), ("running", 0)]
        append(own, inside.add("assistant", message=answer("msg_sub", text("Found."))))
        await watch.look()
        assert await counts(ledger) == [("completed", 2), ("running", 0)]
        found = inside.add("user", message={"content": [result("toolu_none")]})
        append(own, found)
        report = await watch.look()
        assert report.events == 0
        assert report.refusals == []

    followed(tmp_path, story)


def test_a_file_that_is_written_is_not_over_however_old_its_lines_are(tmp_path: Path) -> None:
    async def story(ledger: RunLedger, folder: Path) -> None:
        watch, lines = watching(ledger, folder), Lines()
        lines.prompt("begin")
        lines.answer("msg_1", tool("toolu_1"))
        path = write(folder / f"{SESSION}.jsonl", lines.lines)
        await watch.look()
        assert await counts(ledger) == [("running", 0)]
        lines.result("toolu_1")
        write(path, lines.lines)
        await watch.look()
        assert await counts(ledger) == [("running", 1)]
        hours_ago = (datetime.now(UTC) - timedelta(hours=2)).timestamp()
        lines.answer("msg_2", text("Done."))
        os.utime(write(path, lines.lines), (hours_ago, hours_ago))
        await watch.look()
        assert await counts(ledger) == [("completed", 2)]

    followed(tmp_path, story)


def test_a_watch_that_was_killed_goes_on(tmp_path: Path) -> None:
    async def story(ledger: RunLedger, folder: Path) -> None:
        lines = Lines()
        path = folder / f"{SESSION}.jsonl"
        append(path, lines.prompt("begin"), lines.answer("msg_1", tool("toolu_1")))
        append(path, lines.result("toolu_1"))
        await watching(ledger, folder).look()
        append(path, lines.answer("msg_2", text("Done.")), lines.prompt("more"))
        report = await watching(ledger, folder).look()
        assert (report.recorded, report.extended, report.refused) == (1, 1, 0)
        assert await counts(ledger) == [("completed", 2), ("running", 0)]

    followed(tmp_path, story)


def test_it_stops_when_it_is_told(tmp_path: Path) -> None:
    async def story(ledger: RunLedger, folder: Path) -> None:
        append(folder / f"{SESSION}.jsonl", Lines().prompt("begin"))
        stopped = asyncio.Event()
        told: list[ImportReport] = []

        def tell(report: ImportReport) -> None:
            told.append(report)
            if len(told) == 3:
                stopped.set()

        await watching(ledger, folder).follow(stopped, 0.01, tell)
        assert [report.recorded for report in told] == [1, 0, 0]

    followed(tmp_path, story)
