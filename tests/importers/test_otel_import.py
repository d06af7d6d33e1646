"""Files of spans become runs, whatever form they have; the same spans give the same runs."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bringing import bring, in_ledger, write_document, write_lines

from runledger import RunLedger
from runledger.importers.otlp.importer import OtelImport

Open = Callable[[], RunLedger]
TRACE = "0af7651916cd43dd8448eb211c80319c"
BEGIN = 1_767_600_000_000_000_000
SECOND = 1_000_000_000

# An agent that declares the sum, a call that two libraries report, and a tool that fails in it.
SPANS: list[dict[str, Any]] = [
    {
        "id": "00000000000000a1",
        "parent": None,
        "name": "invoke_agent helper",
        "end": 9,
        "attributes": {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": "helper",
            "gen_ai.conversation.id": "ctx/7",
            "gen_ai.usage.input_tokens": 120,
            "gen_ai.usage.output_tokens": 9,
        },
    },
    {
        "id": "00000000000000a2",
        "parent": "00000000000000a1",
        "name": "call_llm",
        "end": 5,
        "attributes": {
            "gen_ai.system": "openai",
            "gen_ai.request.model": "gpt-4.1",
            "gen_ai.usage.input_tokens": 120,
            "gen_ai.usage.output_tokens": 9,
            "gen_ai.usage.reasoning.output_tokens": 4,
        },
    },
    {
        "id": "00000000000000a3",
        "parent": "00000000000000a2",
        "name": "openai.chat",
        "end": 4,
        "attributes": {
            "llm.request.type": "chat",
            "gen_ai.response.model": "gpt-4.1-2025",
            "gen_ai.usage.prompt_tokens": 120,
            "gen_ai.usage.completion_tokens": 9,
            "gen_ai.usage.cache_read_input_tokens": 100,
            "gen_ai.response.finish_reasons": '["stop"]',
        },
    },
    {
        "id": "00000000000000a4",
        "parent": "00000000000000a2",
        "name": "execute_tool find",
        "end": 5,
        "failed": True,
        "attributes": {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": "find",
            "gen_ai.tool.call.id": "call_1",
            "error.type": "TimeoutError",
        },
    },
]


def _value(value: Any) -> dict[str, Any]:
    return {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}


def _keys(attributes: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value(value)} for key, value in attributes.items()]


def otlp(spans: list[dict[str, Any]] = SPANS, encode: Callable[[str], str] = str) -> dict[str, Any]:
    made = [
        {
            "traceId": encode(TRACE),
            "spanId": encode(one["id"]),
            "parentSpanId": encode(one["parent"]) if one["parent"] else "",
            "name": one["name"],
            "kind": 1,
            "startTimeUnixNano": str(BEGIN),
            "endTimeUnixNano": str(BEGIN + one["end"] * SECOND),
            "attributes": _keys(one["attributes"]),
            "status": {"code": 2} if one.get("failed") else {},
        }
        for one in spans
    ]
    resource = {"attributes": _keys({"service.name": "shop"})}
    scope = {"name": "made", "version": "1"}
    return {
        "resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": scope, "spans": made}]}]
    }


def in_base64(text: str) -> str:
    return base64.b64encode(bytes.fromhex(text)).decode()


def tempo() -> dict[str, Any]:
    (batch,) = otlp(encode=in_base64)["resourceSpans"]
    return {
        "batches": [
            {"resource": batch["resource"], "instrumentationLibrarySpans": batch["scopeSpans"]}
        ]
    }


def jaeger() -> dict[str, Any]:
    def typed(value: Any) -> dict[str, Any]:
        return {"type": "int64" if isinstance(value, int) else "string", "value": value}

    spans = [
        {
            "traceID": TRACE,
            "spanID": one["id"],
            "operationName": one["name"],
            "references": [{"refType": "CHILD_OF", "traceID": TRACE, "spanID": one["parent"]}]
            if one["parent"]
            else [],
            "startTime": BEGIN // 1000,
            "duration": one["end"] * 1_000_000,
            "processID": "p1",
            "tags": [{"key": key, **typed(value)} for key, value in one["attributes"].items()]
            + ([{"key": "otel.status_code", **typed("ERROR")}] if one.get("failed") else [])
            + [{"key": "otel.scope.name", **typed("made")}]
            + [{"key": "otel.scope.version", **typed("1")}],
        }
        for one in SPANS
    ]
    processes = {"p1": {"serviceName": "shop", "tags": []}}
    return {"data": [{"traceID": TRACE, "spans": spans, "processes": processes}]}


def printed() -> list[dict[str, Any]]:
    return [
        {
            "name": one["name"],
            "context": {"trace_id": f"0x{TRACE}", "span_id": f"0x{one['id']}"},
            "parent_id": f"0x{one['parent']}" if one["parent"] else None,
            "start_time": "2026-01-05T08:00:00.000000Z",
            "end_time": f"2026-01-05T08:00:{one['end']:02}.000000Z",
            "status": {"status_code": "ERROR" if one.get("failed") else "UNSET"},
            "attributes": one["attributes"],
            "events": [],
            "links": [],
            "resource": {"attributes": {"service.name": "shop"}},
            "instrumentation_scope": {"name": "made", "version": "1"},
        }
        for one in SPANS
    ]


def protobuf(*documents: dict[str, Any]) -> bytes:
    import io

    from google.protobuf.json_format import ParseDict
    from google.protobuf.proto import serialize_length_prefixed
    from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

    file = io.BytesIO()
    for document in documents:
        serialize_length_prefixed(ParseDict(document, TracesData()), file)
    return file.getvalue()


def _written(path: Path, content: Any) -> Path:
    if isinstance(content, bytes):
        path.write_bytes(content)
        return path
    return write_document(path, content)


FORMS: dict[str, Callable[[], Any]] = {
    "an object": otlp,
    "a list": lambda: [otlp(SPANS[:2]), otlp(SPANS[2:])],
    "ids in base64": lambda: otlp(encode=in_base64),
    "ids in capitals": lambda: otlp(encode=str.upper),
    "tempo": tempo,
    "jaeger": jaeger,
    "printed by an SDK": printed,
    "under spans": lambda: {"session_id": "s", "span_count": 4, "spans": printed()},
    "protobuf": lambda: protobuf(otlp(SPANS[2:], in_base64), otlp(SPANS[:2], in_base64)),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_run(open_ledger: Open, tmp_path: Path, form: str) -> None:
    path = _written(tmp_path / "spans", FORMS[form]())
    plain = write_lines(tmp_path / "again.jsonl.gz", [otlp([one]) for one in reversed(SPANS)])

    async def check(ledger: RunLedger) -> None:
        report = await bring(OtelImport, ledger, path)
        assert (report.recorded, report.refusals, report.not_understood) == (1, [], {})
        assert report.left_out == {
            "the same call is counted at another span of its family": 1,
            "what it declares is counted at spans below": 1,
        }
        (run,) = await ledger.list_runs()
        assert (run.agent_id, run.status) == ("agent-helper", "completed")
        assert run.conversation_id is not None
        assert run.conversation_id.startswith("conv-ctx-7-")
        assert run.metadata["session_id"] == "ctx/7"
        assert run.metadata["otel.resource"] == {"service.name": "shop"}
        (step,) = await ledger.get_run_steps(run.run_id)
        assert (step.model, step.prompt_tokens, step.completion_tokens) == ("gpt-4.1-2025", 120, 9)
        assert (step.cache_read_tokens, step.reasoning_tokens) == (100, 4)
        assert (step.stop_reason, step.step_ns) == ("end_turn", 4 * SECOND)
        again = await bring(OtelImport, ledger, plain)
        assert (again.recorded, again.unchanged, again.refusals) == (0, 1, [])

    in_ledger(open_ledger, check)


def test_a_call_that_comes_later_is_not_counted_beside_its_agent(
    open_ledger: Open, tmp_path: Path
) -> None:
    early = write_document(tmp_path / "early.json", otlp(SPANS[:1]))
    whole = write_document(tmp_path / "whole.json", otlp())

    async def check(ledger: RunLedger) -> None:
        await bring(OtelImport, ledger, early)
        report = await bring(OtelImport, ledger, whole)
        assert (report.extended, report.refusals) == (1, [])
        (run,) = await ledger.list_runs()
        first, late = await ledger.get_run_steps(run.run_id)
        assert (first.prompt_tokens, first.tags) == (120, ["usage-only", "agent:helper"])
        assert (late.prompt_tokens, late.tags) == (None, ["counted-above", "agent:helper"])
        again = await bring(OtelImport, ledger, whole)
        assert (again.unchanged, again.refusals) == (1, [])

    in_ledger(open_ledger, check)


def test_organizations_have_runs_of_their_own(open_ledger: Open, tmp_path: Path) -> None:
    path = write_document(tmp_path / "spans.json", otlp())

    async def check(ledger: RunLedger) -> None:
        for organization in ("acme", "umbrella"):
            report = await bring(OtelImport, ledger, path, organization=organization)
            assert (report.recorded, report.refusals) == (1, [])

    in_ledger(open_ledger, check)


def test_what_cannot_be_is_refused_alone(open_ledger: Open, tmp_path: Path) -> None:
    spans = [
        *SPANS,
        {**SPANS[0], "id": "0000000000000000"},
        {
            **SPANS[2],
            "id": "00000000000000a5",
            "parent": "00000000000000a1",
            "end": 10_000_000_000,
            "attributes": {
                "gen_ai.operation.name": "chat",
                "gen_ai.usage.input_tokens": -5,
                "gen_ai.usage.output_tokens": "NaN",
            },
        },
    ]
    good = write_document(tmp_path / "spans.json", otlp(spans))
    other = write_document(tmp_path / "other.json", {"weather": "fine"})
    broken = tmp_path / "broken.json"
    broken.write_text(json.dumps(otlp())[:-20])

    async def check(ledger: RunLedger) -> None:
        report = await bring(OtelImport, ledger, good, other, broken)
        assert report.recorded == 1
        assert [refusal.place for refusal in report.refusals] == [
            f"{good}: span 5",
            str(other),
            str(broken),
        ]
        assert report.not_understood == {
            "gen_ai.usage.input_tokens: no count of tokens": 1,
            "gen_ai.usage.output_tokens: no count of tokens": 1,
        }
        (run,) = await ledger.list_runs()
        assert sorted(
            step.prompt_tokens or 0 for step in await ledger.get_run_steps(run.run_id)
        ) == [0, 120]

    in_ledger(open_ledger, check)
