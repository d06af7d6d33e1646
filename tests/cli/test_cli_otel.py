"""`runledger otel` shows how received spans were interpreted, and what the current table changes."""

import asyncio
import json
from pathlib import Path
from typing import Any

from command_line import Command

from runledger import RunLedger
from runledger.ids import DEFAULT_ORGANIZATION
from runledger.importers.otlp.assembly import Assembler, Waiting
from runledger.importers.otlp.span import Span
from runledger.store.spans import SavedTrace, SpanRow

TRACE = "0af7651916cd43dd8448eb211c80319c"
BEGIN = 1_767_600_000_000_000_000


def _span(number: int, parent: int, trace: str = TRACE, **attributes: Any) -> Span:
    return Span(
        trace,
        f"{number:016x}",
        f"{parent:016x}" if parent else "",
        f"span {number}",
        BEGIN + number,
        BEGIN + 1_000_000_000,
        attributes={key.replace("__", "."): value for key, value in attributes.items()},
        scope_name="made",
    )


AGENT = _span(
    1,
    0,
    gen_ai__operation__name="invoke_agent",
    gen_ai__usage__input_tokens=100,
    gen_ai__usage__output_tokens=9,
)
CHAT = _span(
    2,
    1,
    gen_ai__operation__name="chat",
    gen_ai__usage__input_tokens=100,
    gen_ai__usage__output_tokens=9,
)
ELSE = _span(3, 0, "f" * 32, http__method="GET")


def _receive(folder: Path, *pieces: list[Span]) -> None:
    async def received() -> None:
        async with RunLedger.open(f"sqlite:///{folder}/runs.db", None) as ledger:
            for spans in pieces:
                rows = [
                    SpanRow(DEFAULT_ORGANIZATION, one.trace_id, one.span_id, one.to_json())
                    for one in spans
                ]
                ledger.store.spans.put(rows, 0.0)
                assembler = Assembler(ledger.store, ledger.handler, Waiting(0.0, 0.0, 0.0))
                assert await assembler.assemble() > 0
                assert await assembler.assemble() == 0

    asyncio.run(received())


def test_status_counts_what_came_and_what_was_not_understood(
    runledger: Command, tmp_path: Path
) -> None:
    _receive(tmp_path, [AGENT, CHAT, ELSE], [CHAT])
    assert runledger("otel", "status", "--json").json == {
        "spans": 3,
        "traces": 2,
        "waiting": 0,
        "without_runs": 1,
        "refused": 0,
        "dropped": 0,
        "not_understood": {"made": 1},
        "refusals": [],
        "elsewhere": {},
    }
    assert "not understood: 1 spans of made\n" in runledger("otel", "status").out


def test_explain_tells_the_rule_and_what_was_left_out(runledger: Command, tmp_path: Path) -> None:
    _receive(tmp_path, [AGENT, CHAT])
    agent, chat = runledger("otel", "explain", TRACE, "--json").json
    assert (agent["kind"], agent["became"]) == ("run", "the run")
    assert agent["rule"] == "gen_ai.operation.name = invoke_agent"
    assert agent["left_out"] == "what it declares is counted at spans below"
    assert chat["became"].startswith("step step-")
    assert chat["left_out"] is None
    assert runledger("otel", "reassemble", "--dry-run", "--json").json == []
    unknown = runledger("otel", "explain", "0" * 32)
    assert (unknown.code, "not found" in unknown.err) == (1, True)


def test_reassemble_shows_what_came_too_late(runledger: Command, tmp_path: Path) -> None:
    _receive(tmp_path, [AGENT], [CHAT])
    found = runledger("otel", "reassemble", "--dry-run", "--json")
    assert found.code == 1
    assert sorted((one["recorded"], one["now"]) for one in found.json) == [
        ("0 in, 0 out", "100 in, 9 out"),
        ("100 in, 9 out", "no step"),
    ]
    assert runledger("otel", "reassemble").out == "0 traces were tried again\n"


def test_reassemble_makes_runs_of_what_was_refused(runledger: Command, tmp_path: Path) -> None:
    _receive(tmp_path, [AGENT, CHAT])

    async def refuse() -> None:
        async with RunLedger.open(f"sqlite:///{tmp_path}/runs.db", None) as ledger:
            (row,) = ledger.store.spans.traces(DEFAULT_ORGANIZATION, TRACE)
            noted = row._replace(note=json.dumps({"refused": ["there was no room"]}))
            ledger.store.spans.save([SavedTrace(noted)], 0.0, ledger.store.epoch)

    asyncio.run(refuse())
    assert "refused: trace" in runledger("otel", "status").out
    assert runledger("otel", "reassemble", TRACE, "--json").json == {"tried": 1, "refusals": []}
    assert "refused: trace" not in runledger("otel", "status").out
