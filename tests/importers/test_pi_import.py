"""Sessions of pi become runs: every call once, its usage as pi wrote it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bringing import bring, in_ledger, write_lines

from runledger import RunLedger
from runledger.importers.pi.importer import PiImport

pytestmark = pytest.mark.one_database

Open = Callable[[], RunLedger]
SESSION = "d703a1a9-1b7b-4fb1-b512-c9738b1fe617"
EARLY = 1_767_600_000_000


def header(session: str = SESSION, **fields: Any) -> dict[str, Any]:
    return {"type": "session", "id": session, "timestamp": at(0), "cwd": "/home/ann/shop", **fields}


def at(second: int) -> str:
    return f"2026-01-05T08:{second // 60:02}:{second % 60:02}.000Z"


def message(second: int, role: str, *content: Any, **fields: Any) -> dict[str, Any]:
    said = {"role": role, "content": list(content), **fields}
    return {"type": "message", "timestamp": at(second), "message": said}


def prompt(second: int, said: str) -> dict[str, Any]:
    return message(second, "user", {"type": "text", "text": said})


def answer(second: int, *content: Any, stop: str = "stop", **fields: Any) -> dict[str, Any]:
    usage = {"input": 3, "output": 20, "cacheRead": 1_000, "cacheWrite": 50, "cost": {"total": 0.5}}
    return message(
        second, "assistant", *content, provider="openai", model="gpt-5", stopReason=stop,
        usage=usage, timestamp=EARLY + second * 1_000 - 1_500, **fields,
    )  # fmt: skip


def call(call_id: str) -> dict[str, Any]:
    return {"type": "toolCall", "id": call_id, "name": "bash", "arguments": {"command": "ls"}}


def result(second: int, call_id: str, **fields: Any) -> dict[str, Any]:
    said = {"type": "text", "text": "a.py"}
    return message(second, "toolResult", said, toolCallId=call_id, isError=False, **fields)


def a_turn(begin: int = 1) -> list[dict[str, Any]]:
    return [
        prompt(begin, "list the files"),
        answer(begin + 3, call("c1"), stop="toolUse"),
        result(begin + 4, "c1"),
        answer(begin + 7, {"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "a.py"}),
    ]


def test_a_users_message_and_what_followed_is_a_run(open_ledger: Open, tmp_path: Path) -> None:
    lines = [header(), {"type": "model_change", "timestamp": at(0)}, *a_turn(), {"type": "later"}]
    path = write_lines(tmp_path / "s.jsonl.gz", lines)

    async def check(ledger: RunLedger) -> None:
        report = await bring(PiImport, ledger, path)
        assert (report.recorded, report.refused) == (1, 0)
        assert report.not_understood == {"line of type later": 1}
        (run,) = await ledger.list_runs()
        assert (run.agent_id, run.conversation_id) == ("agent-pi", f"conversation-{SESSION}")
        assert (run.status, run.stop_reason, run.tools_used) == ("completed", "end_turn", ["bash"])
        assert run.run_ns == 7_000_000_000
        steps = await ledger.get_run_steps(run.run_id)
        assert [(s.prompt_tokens, s.completion_tokens, s.step_ns) for s in steps] == [
            (3, 20, 1_500_000_000),
            (3, 20, 1_500_000_000),
        ]
        # What pi calls input leaves the cache out, whatever the provider.
        assert [(s.fresh_input_tokens, s.cache_read_tokens) for s in steps] == [(3, 1_000)] * 2
        assert [m.role for m in await ledger.get_stored_messages(run.run_id)] == [
            "user", "assistant", "tool", "assistant",
        ]  # fmt: skip
        again = await bring(PiImport, ledger, tmp_path)
        assert (again.unchanged, again.events, again.refused) == (1, 0, 0)

    in_ledger(open_ledger, check)


@pytest.mark.parametrize("cut", [2, 3, 4])
def test_a_growing_file_adds_what_is_new(open_ledger: Open, tmp_path: Path, cut: int) -> None:
    whole = [header(), *a_turn(), prompt(60, "more"), answer(62)]

    async def check(ledger: RunLedger) -> None:
        path = write_lines(tmp_path / "s.jsonl", whole[:cut])
        await bring(PiImport, ledger, path)
        report = await bring(PiImport, ledger, write_lines(path, whole))
        assert (report.recorded, report.extended, report.refused) == (1, 1, 0)
        later, first = await ledger.list_runs()
        assert (first.num_steps, later.num_steps) == (2, 1)

    in_ledger(open_ledger, check)


def test_a_branched_session_repeats_history_that_counts_once(
    open_ledger: Open, tmp_path: Path
) -> None:
    write_lines(tmp_path / "1.jsonl", [header(), *a_turn()])
    other = "9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d"
    # Newer versions give the copied lines ids of their own.
    copies = [{**line, "id": f"{n:08x}", "parentId": None} for n, line in enumerate(a_turn())]
    write_lines(
        tmp_path / "2.jsonl",
        [header(other, branchedFrom="1.jsonl"), *copies, prompt(60, "more"), answer(62)],
    )

    async def check(ledger: RunLedger) -> None:
        report = await bring(PiImport, ledger, tmp_path)
        assert (report.recorded, report.unchanged, report.refused) == (2, 1, 0)
        (total,) = await ledger.usage_totals()
        assert total.steps == 3

    in_ledger(open_ledger, check)


@pytest.mark.parametrize(
    ("stop", "expected"),
    [
        ("stop", ("completed", "end_turn", None)),
        ("aborted", ("cancelled", "cancelled", None)),
        ("error", ("failed", "llm_api_error", "api_error")),
        ("length", ("failed", "max_tokens_exceeded", None)),
        ("toolUse", ("failed", "error", "lost")),
    ],
)
def test_a_turn_ends_as_its_last_answer_stopped(
    open_ledger: Open, tmp_path: Path, stop: str, expected: Any
) -> None:
    content = [call("c1")] if stop in ("aborted", "toolUse") else []
    write_lines(tmp_path / "s.jsonl", [header(), prompt(1, "go"), answer(2, *content, stop=stop)])

    async def check(ledger: RunLedger) -> None:
        await bring(PiImport, ledger, tmp_path)
        (run,) = await ledger.list_runs()
        assert (run.status, run.stop_reason, run.error_type) == expected

    in_ledger(open_ledger, check)


def test_two_organizations_may_import_one_file(open_ledger: Open, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "s.jsonl", [header(), *a_turn()])

    async def check(ledger: RunLedger) -> None:
        for name in ("org-a", "org-b"):
            report = await bring(PiImport, ledger, path, organization=name)
            assert (report.recorded, report.refused) == (1, 0)

    in_ledger(open_ledger, check)
