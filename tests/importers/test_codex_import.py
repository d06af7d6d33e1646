"""Sessions of Codex become runs: every call once, though totals are told again and copied."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from bringing import bring, in_ledger, write_lines

from runledger import RunLedger
from runledger.importers.codex.importer import CodexImport

pytestmark = pytest.mark.one_database

Open = Callable[[], RunLedger]
PARENT = "01970000-0000-7000-8000-000000000001"
CHILD = "01970000-0000-7000-8000-000000000002"
START = datetime(2026, 1, 5, 9, tzinfo=UTC)


class Rollout:
    """Writes the lines of a session one after the other, a second apart."""

    def __init__(self, session: str = PARENT, **meta: Any) -> None:
        self.lines: list[dict[str, Any]] = []
        self.totals = [0, 0, 0, 0]
        said = {"id": session, "cwd": "/home/ann/shop", "model_provider": "openai", **meta}
        self.add("session_meta", said)
        self.add("turn_context", {"model": "gpt-5-codex", "turn_id": session})

    def add(self, kind: str, payload: dict[str, Any]) -> None:
        at = (START + timedelta(seconds=len(self.lines))).isoformat().replace("+00:00", "Z")
        self.lines.append({"timestamp": at, "type": kind, "payload": payload})

    def event(self, kind: str, **fields: Any) -> None:
        self.add("event_msg", {"type": kind, **fields})

    def item(self, kind: str, **fields: Any) -> None:
        self.add("response_item", {"type": kind, **fields})

    def prompt(self, said: str) -> None:
        self.item("message", role="user", content=[{"type": "input_text", "text": said}])
        self.event("user_message", message=said)

    def say(self, said: str) -> None:
        self.item("message", role="assistant", content=[{"type": "output_text", "text": said}])
        self.event("agent_message", message=said)

    def call(self, call_id: str) -> None:
        self.item("function_call", name="shell", arguments='{"command":"ls"}', call_id=call_id)

    def result(self, call_id: str, output: Any = "a.py") -> None:
        self.item("function_call_output", call_id=call_id, output=output)

    def used(self, *last: int, missed: tuple[int, ...] = (0, 0, 0, 0)) -> None:
        self.totals = [a + b + c for a, b, c in zip(self.totals, last, missed, strict=True)]
        self.event(
            "token_count",
            info={"total_token_usage": _usage(self.totals), "last_token_usage": _usage(last)},
        )

    def again(self) -> None:
        """Tell the same totals again, as for a change of the limits."""
        info = {"total_token_usage": _usage(self.totals), "last_token_usage": _usage([9, 0, 9, 0])}
        self.event("token_count", info=info, rate_limits={"primary": {"used_percent": 5}})


def _usage(counts: Any) -> dict[str, int]:
    given, cached, made, thought = counts
    return {
        "input_tokens": given,
        "cached_input_tokens": cached,
        "output_tokens": made,
        "reasoning_output_tokens": thought,
        "total_tokens": given + made,
    }


def a_session(session: str = PARENT, **meta: Any) -> Rollout:
    lines = Rollout(session, **meta)
    lines.prompt("list the files")
    lines.event("token_count", info=None)
    lines.item("reasoning", summary=[{"type": "summary_text", "text": "hm"}], encrypted_content="x")
    lines.call("call_1")
    lines.used(1_000, 800, 30, 20)
    lines.result("call_1")
    lines.again()
    lines.say("There is a.py.")
    lines.used(1_100, 1_000, 10, 0)
    lines.event("task_complete")
    return lines


def copied(lines: Rollout, into: Rollout) -> Rollout:
    """Copy a history as a fork does: payloads as they are, times written anew."""
    for line in lines.lines:
        into.add(line["type"], line["payload"])
    into.totals = list(lines.totals)
    return into


def test_a_prompt_and_what_followed_is_a_run(open_ledger: Open, tmp_path: Path) -> None:
    lines = a_session()
    lines.event("from_the_future")
    path = write_lines(tmp_path / f"rollout-{PARENT}.jsonl.gz", lines.lines)

    async def check(ledger: RunLedger) -> None:
        report = await bring(CodexImport, ledger, path)
        assert (report.recorded, report.refusals) == (1, [])
        assert report.not_understood == {"event of type from_the_future": 1}
        (run,) = await ledger.list_runs()
        assert (run.agent_id, run.status, run.tools_used) == ("agent-codex", "completed", ["shell"])
        steps = await ledger.get_run_steps(run.run_id)
        assert [(s.model, s.fresh_input_tokens, s.cache_read_tokens) for s in steps] == [
            ("gpt-5-codex", 200, 800),
            ("gpt-5-codex", 100, 1_000),
        ]
        assert [(s.output_tokens, s.reasoning_tokens) for s in steps] == [(10, 20), (10, 0)]
        messages = await ledger.get_stored_messages(run.run_id)
        assert [m.role for m in messages] == ["user", "assistant", "tool", "assistant"]
        assert messages[2].step_id == steps[0].step_id
        assert (await ledger.sql("SELECT status FROM tool_calls"))[1] == [("success",)]
        again = await bring(CodexImport, ledger, path)
        assert (again.unchanged, again.events) == (1, 0)

    in_ledger(open_ledger, check)


@pytest.mark.parametrize("order", [("a", "b", "c"), ("c", "b", "a")])
@pytest.mark.parametrize("at_once", [True, False])
def test_what_forks_copy_counts_once(
    open_ledger: Open, tmp_path: Path, order: tuple[str, ...], at_once: bool
) -> None:
    parent = a_session()
    child = copied(parent, Rollout(CHILD, forked_from_id=PARENT))
    child.prompt("more")
    child.say("Yes.")
    child.used(1_200, 1_100, 5, 0)
    grandchild = copied(child, Rollout(CHILD[:-1] + "3", forked_from_id=CHILD))
    grandchild.prompt("more")
    grandchild.say("No.")
    grandchild.used(1_300, 1_100, 6, 0)
    paths = [
        write_lines(tmp_path / f"rollout-{name}.jsonl", lines.lines)
        for name, lines in zip(order, (parent, child, grandchild), strict=True)
    ]

    async def check(ledger: RunLedger) -> None:
        for group in [paths] if at_once else [[path] for path in paths]:
            report = await bring(CodexImport, ledger, *group)
            assert report.refusals == []
        (total,) = await ledger.usage_totals()
        assert (total.steps, total.prompt_tokens) == (4, 1_000 + 1_100 + 1_200 + 1_300)
        assert len(await ledger.list_runs()) == 3

    in_ledger(open_ledger, check)


def test_sessions_that_begin_alike_are_two(open_ledger: Open, tmp_path: Path) -> None:
    for session in (PARENT, CHILD):
        write_lines(tmp_path / f"rollout-{session}.jsonl", a_session(session).lines)

    async def check(ledger: RunLedger) -> None:
        report = await bring(CodexImport, ledger, tmp_path)
        assert (report.recorded, report.refused) == (2, 0)
        (total,) = await ledger.usage_totals()
        assert total.steps == 4

    in_ledger(open_ledger, check)


def test_totals_tell_of_calls_whose_lines_are_missing(open_ledger: Open, tmp_path: Path) -> None:
    lines = Rollout()
    lines.prompt("go")
    lines.used(100, 0, 10, 0)
    lines.used(200, 0, 20, 0, missed=(50, 0, 5, 0))
    lines.totals = [0, 0, 0, 0]
    lines.used(30, 0, 3, 0)
    path = write_lines(tmp_path / "rollout.jsonl", lines.lines)

    async def check(ledger: RunLedger) -> None:
        await bring(CodexImport, ledger, path)
        (run,) = await ledger.list_runs()
        steps = await ledger.get_run_steps(run.run_id)
        assert [(s.prompt_tokens, s.tags) for s in steps] == [
            (100, []),
            (250, ["usage-jumped"]),
            (30, []),
        ]

    in_ledger(open_ledger, check)


def aborted(lines: Rollout) -> None:
    lines.call("call_1")
    lines.event("turn_aborted", reason="interrupted")


def failed(lines: Rollout) -> None:
    lines.event("error", message="overloaded")
    lines.event("task_complete")


def abandoned(lines: Rollout) -> None:
    lines.call("call_1")


@pytest.mark.parametrize(
    ("happens", "expected"),
    [
        (aborted, ("cancelled", "cancelled", None)),
        (failed, ("failed", "llm_api_error", "api_error")),
        (abandoned, ("failed", "error", "lost")),
    ],
)
def test_a_turn_ends_as_its_last_word_says(
    open_ledger: Open, tmp_path: Path, happens: Callable[[Rollout], None], expected: Any
) -> None:
    lines = Rollout()
    lines.prompt("go")
    happens(lines)
    path = write_lines(tmp_path / "rollout.jsonl", lines.lines)

    async def check(ledger: RunLedger) -> None:
        await bring(CodexImport, ledger, path)
        (run,) = await ledger.list_runs()
        assert (run.status, run.stop_reason, run.error_type) == expected
        assert run.num_steps == 0

    in_ledger(open_ledger, check)


@pytest.mark.parametrize("cut", range(4, 16))
def test_a_growing_file_adds_what_is_new(open_ledger: Open, tmp_path: Path, cut: int) -> None:
    whole = a_session().lines
    for line in whole:
        line["timestamp"] = datetime.now(UTC).isoformat()
    path = tmp_path / "rollout.jsonl"

    async def check(ledger: RunLedger) -> None:
        await bring(CodexImport, ledger, write_lines(path, whole[:cut]))
        report = await bring(CodexImport, ledger, write_lines(path, whole))
        assert report.refusals == []
        (run,) = await ledger.list_runs()
        assert (run.status, run.num_steps, run.prompt_tokens) == ("completed", 2, 2_100)
        messages = await ledger.get_stored_messages(run.run_id)
        assert [m.role for m in messages] == ["user", "assistant", "tool", "assistant"]

    in_ledger(open_ledger, check)
