"""Logs of Inspect become runs: each sample once, with its calls, tools and scores."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bringing import bring, in_ledger, write_document

from runledger import RunLedger
from runledger.importers.inspect_ai.importer import InspectImport

pytestmark = pytest.mark.one_database

Open = Callable[[], RunLedger]
EVAL = {"run_id": "r1", "eval_id": "e1", "task": "browse", "model": "openai/gpt-4o"}


def at(second: int) -> str:
    return f"2026-01-05T08:00:{second:02}.000000-04:00"


def model(second: int, *calls: dict[str, Any], usage: Any = None, **fields: Any) -> dict[str, Any]:
    said = {"role": "assistant", "content": "attachment://x", "tool_calls": list(calls)}
    counted = {
        "input_tokens": 100, "output_tokens": 9, "total_tokens": 109, "input_tokens_cache_read": 60,
    }  # fmt: skip
    return {
        "event": "model",
        "timestamp": at(second),
        "completed": at(second + 2),
        "working_time": 1.5,
        "model": "openai/gpt-4o",
        "output": {
            "model": "gpt-4o-2024-08-06",
            "choices": [{"message": said, "stop_reason": "stop"}],
            "usage": usage or counted,
        },
        **fields,
    }


def call(call_id: str) -> dict[str, Any]:
    return {"id": call_id, "function": "go", "arguments": {"url": "u"}}


def tool(second: int, call_id: str, **fields: Any) -> dict[str, Any]:
    return {
        "event": "tool", "timestamp": at(second), "completed": at(second + 1), "id": call_id,
        "function": "go", "arguments": {}, "result": "page", "events": [], **fields,
    }  # fmt: skip


def sample(number: int, *events: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {
        "id": number,
        "epoch": 1,
        "input": "look",
        "events": list(events),
        "attachments": {"x": "found it"},
        "scores": {"match": {"value": "C"}},
        "total_time": 7.25,
        **fields,
    }


def log(*samples: Any) -> dict[str, Any]:
    return {"version": 2, "status": "success", "eval": EVAL, "samples": list(samples)}


def zipped(path: Path, whole: dict[str, Any], header: str = "header.json") -> Path:
    with zipfile.ZipFile(path, "w") as parts:
        for one in whole["samples"]:
            parts.writestr(f"samples/{one['id']}_epoch_1.json", json.dumps(one))
        parts.writestr(header, json.dumps({"eval": whole["eval"]}))
    return path


WHOLE = sample(1, model(0, call("c1")), tool(2, "c1"), model(4, pending=True), model(5))


@pytest.mark.parametrize("form", ["json", "eval", "running"])
def test_a_sample_is_a_run(open_ledger: Open, tmp_path: Path, form: str) -> None:
    if form == "json":
        path = write_document(tmp_path / "log.json", log(WHOLE))
    else:
        header = "header.json" if form == "eval" else "_journal/start.json"
        path = zipped(tmp_path / "log.eval", log(WHOLE), header)

    async def check(ledger: RunLedger) -> None:
        report = await bring(InspectImport, ledger, path)
        assert (report.recorded, report.refusals) == (1, [])
        (run,) = await ledger.list_runs()
        assert run.agent_id.startswith("agent-inspect-browse-openai-gpt-4o-")
        assert (run.project_id, run.run_ns) == ("browse", 7_250_000_000)
        assert run.metadata["scores"] == {"match": "C"}
        assert run.metadata["inspect_model"] == "openai/gpt-4o"
        steps = await ledger.get_run_steps(run.run_id)
        assert len(steps) == 2
        step = steps[0]
        assert (step.provider_name, step.model) == ("openai", "gpt-4o-2024-08-06")
        assert (step.step_ns, step.llm_request_ns) == (2_000_000_000, 1_500_000_000)
        assert (step.fresh_input_tokens, step.cache_read_tokens) == (40, 60)
        messages = await ledger.get_stored_messages(run.run_id)
        assert [m.text() for m in messages if m.role == "assistant"] == ["found it", "found it"]
        assert (await ledger.sql("SELECT name, status FROM tool_calls"))[1] == [("go", "success")]
        again = await bring(InspectImport, ledger, path)
        assert (again.unchanged, again.events) == (1, 0)

    in_ledger(open_ledger, check)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ("completed", "end_turn", None)),
        ({"error": {"message": "boom"}}, ("failed", "error", "error")),
        ({"limit": {"type": "message", "limit": 5}}, ("completed", "max_steps", None)),
        ({"limit": {"type": "token"}}, ("failed", "max_tokens_exceeded", "token_limit")),
        ({"limit": {"type": "time"}}, ("failed", "error", "time_limit")),
        ({"limit": {"type": "operator"}}, ("cancelled", "cancelled", None)),
    ],
)
def test_a_sample_ends_as_its_error_or_limit_says(
    open_ledger: Open, tmp_path: Path, fields: dict[str, Any], expected: Any
) -> None:
    path = write_document(tmp_path / "log.json", log(sample(1, model(0), **fields)))

    async def check(ledger: RunLedger) -> None:
        await bring(InspectImport, ledger, path)
        (run,) = await ledger.list_runs()
        assert (run.status, run.stop_reason, run.error_type) == expected

    in_ledger(open_ledger, check)


def test_what_is_unusual_is_told(open_ledger: Open, tmp_path: Path) -> None:
    exclusive = {
        "input_tokens": 10, "output_tokens": 9, "total_tokens": 109,
        "input_tokens_cache_read": 60, "input_tokens_cache_write": 30,
    }  # fmt: skip
    events = [
        model(0, usage=exclusive, cache="read"),
        model(2, error="overloaded", retries=2),
        tool(4, "c9", error={"type": "timeout", "message": "late"}, events=[model(5)]),
    ]
    folder = tmp_path / "logs"
    folder.mkdir()
    write_document(folder / "log.json", log(sample(1, *events), sample(2), "none"))
    (folder / "broken.eval").write_bytes(b"no zip")

    async def check(ledger: RunLedger) -> None:
        report = await bring(InspectImport, ledger, folder)
        assert report.recorded == 1
        assert {refusal.place.rpartition("/")[2] for refusal in report.refusals} == {
            "broken.eval",
            "log.json: samples[2]",
            "log.json: samples[1]",
        }
        (run,) = await ledger.list_runs()
        steps = await ledger.get_run_steps(run.run_id)
        assert [(s.status, s.tags) for s in steps] == [
            ("success", ["cached-response"]),
            ("failed", ["retried"]),
            ("success", []),
        ]
        assert (steps[0].fresh_input_tokens, steps[0].cache_write_tokens) == (10, 30)
        assert (await ledger.sql("SELECT name, status FROM tool_calls"))[1] == [("go", "error")]

    in_ledger(open_ledger, check)


def test_a_log_that_grows_adds_its_new_samples(open_ledger: Open, tmp_path: Path) -> None:
    path = tmp_path / "log.eval"
    first, second = sample(1, model(0)), sample(2, model(0), uuid="u2")

    async def check(ledger: RunLedger) -> None:
        await bring(InspectImport, ledger, zipped(path, log(first)))
        report = await bring(InspectImport, ledger, zipped(path, log(first, second)))
        assert (report.recorded, report.unchanged, report.refused) == (1, 1, 0)
        for organization in ("org-a", "org-b"):
            other = await bring(InspectImport, ledger, path, organization=organization)
            assert (other.recorded, other.refused) == (2, 0)

    in_ledger(open_ledger, check)
