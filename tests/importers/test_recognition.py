"""A file is recognised by what stands in it, whatever its name and however it is packed."""

import gzip
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from bringing import in_ledger, write_document, write_lines
from claude_code_session import SESSION, Lines, answer, result, text, tool, write
from tau2_results import results, simulation

from runledger import RunLedger
from runledger.importers.automatic import AutoImport, recognise
from runledger.importers.recognition import recognised
from runledger.run import Actor

EVENT = {"position": 1, "stream": "s", "version": 1, "topic": "t", "facts": {}}
LONG = "x" * 200_000


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (results(simulation()), "tau2"),
        ({"info": {"policy": LONG}, "simulations": []}, "tau2"),
        ({"version": 2, "status": "success", "eval": {"task": LONG}}, "inspect"),
        ({"trace": {"id": "t"}, "observations": []}, "langfuse"),
        ([{"trace": {"input": LONG}}], "langfuse"),
        ({"id": "t", "projectId": "p", "timestamp": "", "environment": "e"}, "langfuse"),
        ({"type": "session", "id": "s", "cwd": "/"}, "pi"),
        ({"timestamp": "t", "type": "session_meta", "payload": {"id": "s"}}, "codex"),
        ({"timestamp": "t", "type": "session_meta", "payload": LONG}, "codex"),
        ({"type": "user", "sessionId": "s", "message": {}}, "claude-code"),
        ({"type": "user", "sessionId": "s", "message": LONG}, "claude-code"),
        ({"type": "summary", "summary": "s", "leafUuid": "u"}, "claude-code"),
        (EVENT, "jsonl"),
        ({**EVENT, "facts": LONG}, "jsonl"),
        ({"blob": "h", "media_type": "image/png", "data": LONG}, "jsonl"),
        ({"resourceSpans": []}, "otel"),
        ([{"trace_id": "t", "span_id": "s", "attributes": {}}], "otel"),
        ({"data": [{"traceID": "t", "spans": [{"operationName": LONG}]}]}, "otel"),
        ({"type": "module"}, None),
        ([], None),
        ("text", None),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("indent", [None, 2])
def test_a_format_is_recognised(
    tmp_path: Path, content: Any, expected: str | None, packed: bool, indent: int | None
) -> None:
    if indent and expected in ("jsonl", "claude-code", "codex", "pi"):
        pytest.skip("these are lines")
    said = json.dumps(content, indent=indent).encode() + b"\n"
    path = tmp_path / "file"
    path.write_bytes(gzip.compress(said) if packed else said)
    assert recognised(path) == expected


@pytest.mark.usefixtures("no_collection")
def test_what_is_damaged_or_empty_is_of_no_format(tmp_path: Path) -> None:
    for content in (b"", b"\x1f\x8b broken", b"PK\x03\x04 broken", b"\xff\xfe", b"{" * 100_000):
        path = tmp_path / "file"
        path.write_bytes(content)
        assert recognised(path) is None, content[:10]
    with zipfile.ZipFile(path, "w") as parts:
        parts.writestr("readme.txt", "no log")
    assert recognised(path) is None


def test_all_of_a_folder_goes_in(open_ledger: Any, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    lines = Lines()
    lines.prompt("ask an agent")
    lines.answer("msg_1", tool("toolu_task", "Task"))
    own = Lines(first=700, isSidechain=True, agentId="a1")
    own.prompt("look")
    own.add("assistant", message=answer("msg_sub", text("Found.")))
    lines.add("user", message={"content": [result("toolu_task")]})
    write(folder / f"{SESSION}.jsonl", lines.lines)
    write(folder / SESSION / "subagents" / "agent-a1.jsonl", own.lines)
    write_document(folder / "results.json", results(simulation(), simulation()))
    write_lines(folder / "other.jsonl", [{"type": "module"}])
    # A result with a file for each simulation, and files of another program that are named so.
    write(folder / "split" / "simulations" / "one.json", [simulation()])
    write_document(folder / "split" / "results.json", {"domain": "airline", "model": "m"})
    write(folder / "else" / "simulations" / "one.json", [{"a": 1}])
    write_document(folder / "else" / "results.json", {"a": 1})

    async def check(ledger: RunLedger) -> None:
        found = recognise([folder, tmp_path / "none"])
        assert {kind: len(files) for kind, files in found.files.items()} == {
            "claude-code": 2,
            "tau2": 2,
        }
        assert sorted(found.unknown) == [
            folder / "else" / "results.json",
            folder / "else" / "simulations" / "one.json",
            folder / "other.jsonl",
        ]
        assert [path for path, _ in found.failed] == [tmp_path / "none"]
        reports = await AutoImport(ledger.store, ledger.handler, Actor()).run(found)
        assert {kind: report.recorded for kind, report in reports.items()} == {
            "claude-code": 1,
            "tau2": 3,
        }
        (run,) = await ledger.list_runs(agent_id="agent-claude-code")
        assert run.num_steps == 2

    in_ledger(open_ledger, check)
