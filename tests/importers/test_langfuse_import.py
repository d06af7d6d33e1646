"""Trace exports of Langfuse become runs: each token on one observation of a path."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bringing import bring, in_ledger, write_document, write_lines

from runledger import RunLedger
from runledger.importers.langfuse.importer import LangfuseImport

pytestmark = pytest.mark.one_database

Open = Callable[[], RunLedger]
TRACE = {
    "id": "t1",
    "projectId": "p1",
    "name": "Book a flight",
    "sessionId": "ctx/7",
    "input": {"ask": "book"},
    "output": "done",
}


def seen(
    name: str,
    kind: str = "SPAN",
    parent: str | None = None,
    second: int = 0,
    usage: dict[str, int] | None = None,
    **fields: Any,
) -> dict[str, Any]:
    return {
        "id": name,
        "type": kind,
        "name": name,
        "parentObservationId": parent,
        "startTime": f"2026-01-05T08:00:{second:02}.000Z",
        "endTime": f"2026-01-05T08:00:{second + 2:02}.000Z",
        "usageDetails": usage or {},
        "input": "in",
        "output": "out",
        **fields,
    }


def used(given: int, made: int, **parts: int) -> dict[str, int]:
    return {"input": given, "output": made, "total": given + made, **parts}


def export(*observations: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"trace": {**TRACE, **changes}, "observations": list(observations)}


def steps_of(open_ledger: Open, path: Path) -> Any:
    async def asked(ledger: RunLedger) -> Any:
        report = await bring(LangfuseImport, ledger, path)
        assert report.refusals == []
        (run,) = await ledger.list_runs()
        return await ledger.get_run_steps(run.run_id)

    return in_ledger(open_ledger, asked)


def test_a_trace_is_a_run(open_ledger: Open, tmp_path: Path) -> None:
    attributes = json.dumps(
        {"attributes": {"openinference.span.kind": "TOOL", "tool.name": "find"}}
    )
    path = write_document(
        tmp_path / "t.json",
        export(
            seen("agent", "AGENT"),
            seen("chat", "GENERATION", "agent", 1, used(50, 7), model="gpt-4.1"),
            seen("looking", "SPAN", "agent", 4, metadata=attributes, level="ERROR"),
        ),
    )

    async def check(ledger: RunLedger) -> None:
        report = await bring(LangfuseImport, ledger, path)
        assert (report.recorded, report.refused) == (1, 0)
        (run,) = await ledger.list_runs()
        assert run.agent_id.startswith("agent-Book-a-flight-")
        assert (await ledger.get_agent(run.agent_id)).name == "Book a flight"
        assert run.conversation_id is not None
        assert run.conversation_id.startswith("conv-ctx-7-")
        assert run.metadata["session_id"] == "ctx/7"
        assert (run.status, run.run_ns, run.num_steps) == ("completed", 6_000_000_000, 1)
        assert (await ledger.sql("SELECT name, status FROM tool_calls"))[1] == [("find", "error")]
        again = await bring(LangfuseImport, ledger, path)
        assert (again.unchanged, again.events) == (1, 0)

    in_ledger(open_ledger, check)


@pytest.mark.parametrize(
    ("observations", "expected"),
    [
        # Two libraries tell of one call: the inner one reports what was used.
        (
            [
                seen("outer", "GENERATION", None, 0, used(90, 9)),
                seen("inner", "GENERATION", "outer", 0, used(50, 7)),
            ],
            [(50, 7)],
        ),
        (
            [
                seen("outer", "GENERATION", None, 0, used(90, 9)),
                seen("inner", "GENERATION", "outer", 0),
            ],
            [(90, 9)],
        ),
        # A retry and its success under one wrapper are two calls.
        (
            [
                seen("outer", "GENERATION", None, 0, used(100, 14)),
                seen("first", "GENERATION", "outer", 0, used(50, 7)),
                seen("second", "GENERATION", "outer", 3, used(51, 8)),
            ],
            [(50, 7), (51, 8)],
        ),
        # A container repeats the sum of what lies below it.
        (
            [
                seen("agent", "AGENT", None, 0, used(101, 15)),
                seen("first", "GENERATION", "agent", 0, used(50, 7)),
                seen("second", "GENERATION", "agent", 3, used(51, 8)),
            ],
            [(50, 7), (51, 8)],
        ),
        # One that is alone in reporting is all that there is.
        (
            [seen("agent", "AGENT", None, 0, used(101, 15)), seen("tool", "TOOL", "agent")],
            [(101, 15)],
        ),
        # The call of an agent that a model's tool started is a call of its own.
        (
            [
                seen("outer", "GENERATION", None, 0, used(90, 9)),
                seen("tool", "TOOL", "outer", 1),
                seen("inner", "GENERATION", "tool", 1, used(50, 7)),
            ],
            [(90, 9), (50, 7)],
        ),
        # A generation that says nothing is no call.
        ([seen("chat", "GENERATION", input=None, output=None)], []),
    ],
)
def test_a_call_counts_once(
    open_ledger: Open, tmp_path: Path, observations: list[dict[str, Any]], expected: Any
) -> None:
    path = write_document(tmp_path / "t.json", export(*reversed(observations)))
    steps = steps_of(open_ledger, path)
    assert [(step.prompt_tokens, step.completion_tokens) for step in steps] == expected


@pytest.mark.parametrize(
    ("usage", "buckets"),
    [
        (used(100, 20, input_cached_tokens=60), (40, 60, 20, None)),
        ({"input": 40, "output": 20, "total": 120, "input_cached_tokens": 60}, (40, 60, 20, None)),
        ({"input": 10, "output": 20, "cache_read_input_tokens": 60}, (10, 60, 20, None)),
        (used(6, 50, **{"completion_details.reasoning": 30}), (6, None, 20, 30)),
    ],
)
def test_cached_and_reasoning_tokens_are_counted_once(
    open_ledger: Open, tmp_path: Path, usage: dict[str, int], buckets: Any
) -> None:
    path = write_document(tmp_path / "t.json", export(seen("chat", "GENERATION", usage=usage)))
    (step,) = steps_of(open_ledger, path)
    found = (
        step.fresh_input_tokens,
        step.cache_read_tokens,
        step.output_tokens,
        step.reasoning_tokens,
    )
    assert found == buckets


def test_other_content_of_a_trace_is_refused(open_ledger: Open, tmp_path: Path) -> None:
    path = write_document(tmp_path / "t.json", export(seen("chat", "GENERATION")))

    async def check(ledger: RunLedger) -> None:
        await bring(LangfuseImport, ledger, path)
        changed = write_document(path, export(seen("chat", "GENERATION"), output="other"))
        report = await bring(LangfuseImport, ledger, changed)
        (refusal,) = report.refusals
        assert "recorded before with other content" in refusal.reason

    in_ledger(open_ledger, check)


def test_many_traces_may_be_in_one_file(open_ledger: Open, tmp_path: Path) -> None:
    traces = [
        {**TRACE, "id": f"t{n}", "observations": [seen("chat", "GENERATION")]} for n in (1, 2)
    ]
    circle = [seen("a", parent="b"), seen("b", parent="a")]
    folder = tmp_path / "traces"
    folder.mkdir()
    write_document(folder / "list.json", traces)
    write_lines(folder / "lines.jsonl", [*traces, {"trace": {}}, export(*circle, id="t3"), 7])

    async def check(ledger: RunLedger) -> None:
        report = await bring(LangfuseImport, ledger, folder)
        assert (report.recorded, report.unchanged, report.refused) == (2, 2, 3)
        assert {refusal.reason[:40] for refusal in report.refusals} == {
            "trace.id: expected the id of the trace, ",
            "expected an object, found 7",
            "observations: expected trees of 300 leve",
        }

    in_ledger(open_ledger, check)
