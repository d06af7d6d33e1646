"""Log events that tell calls of models become steps, once, however else the same calls are told."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.logs.v1.logs_pb2 import LogsData
from running import RunningServer
from test_otlp import (
    JSON,
    PROTOBUF,
    agent,
    chat,
    done,
    expect_tokens,
    post,
    request,
    runs,
    span,
    steps,
)

from runledger import RunLedger
from runledger.importers.claude_code.importer import ClaudeCodeImport
from runledger.run import Actor

BEGIN = 1_767_600_000_000_000_000
SESSION = "3d0c1f39-9f5c-4f0e-8f0f-0f2f8e5d1c11"


def value(one: Any) -> dict[str, Any]:
    return {"intValue": str(one)} if isinstance(one, int) else {"stringValue": str(one)}


def record(body: str, at: int = 1, **attributes: Any) -> dict[str, Any]:
    return {
        "timeUnixNano": str(BEGIN + at * 1_000_000_000),
        "body": {"stringValue": body},
        "attributes": [
            {"key": key.replace("__", "."), "value": value(one)} for key, one in attributes.items()
        ],
    }


def logs(*records: dict[str, Any]) -> dict[str, Any]:
    return {"resourceLogs": [{"scopeLogs": [{"logRecords": list(records)}]}]}


def call(number: int, session: str = SESSION, **more: Any) -> dict[str, Any]:
    told: dict[str, Any] = {
        "event__name": "api_request",
        "session__id": session,
        "prompt__id": "p1",
        "request_id": f"req_{number}",
        "model": "claude-opus-4-5",
        "input_tokens": "10",
        "output_tokens": number,
        "cache_read_tokens": 1_000,
        "cache_creation_tokens": 200,
        "duration_ms": 500,
    }
    return record("claude_code.api_request", number, **{**told, **more})


def waited(server: RunningServer, run_id: str, count: int) -> list[Any]:
    end = time.monotonic() + 60
    while len(found := steps(server, run_id)) < count and time.monotonic() < end:
        time.sleep(0.1)
    return found


def test_usage_events_of_claude_code_are_steps_of_one_run_for_each_prompt(
    server: RunningServer,
) -> None:
    events = [call(1), call(2), call(3, prompt__id="p2")]
    for one in [*events, *reversed(events)]:
        answer = post(server, logs(one), path="/v1/logs")
        assert (answer.status_code, answer.json()) == (200, {})
    found = runs(server, lambda seen: len(seen) == 2)
    assert {run["agent_id"] for run in found} == {"agent-claude-code"}
    assert {run["conversation_id"] for run in found} == {f"conversation-{SESSION}"}
    every = [step for run in found for step in waited(server, run["id"], 1)]
    assert sorted(step["completion_tokens"] for step in every) == [1, 2, 3]
    # The provider's interface leaves cached tokens out of the input.
    assert {(step["prompt_tokens"], step["model"]) for step in every} == {(10, "claude-opus-4-5")}
    assert {step["prompt_tokens_details"]["cached_tokens"] for step in every} == {1_000}


def test_usage_events_of_codex_are_steps(server: RunningServer) -> None:
    told: dict[str, Any] = {
        "event__name": "codex.sse_event",
        "conversation__id": SESSION,
        "model": "gpt-5-codex",
        "input_token_count": 900,
        "output_token_count": 50,
        "cached_token_count": 800,
        "reasoning_token_count": 30,
    }
    done_event = record("", 1, event__kind="response.completed", **told)
    part = record("", 2, event__kind="response.output_text.delta", event__name="codex.sse_event")
    body = ParseDict(logs(done_event, part), LogsData()).SerializeToString()
    answer = post(server, body, PROTOBUF, "/v1/logs")
    assert answer.status_code == 200
    # Told to the sender: the other event was not kept.
    assert b"\x08\x01" in answer.content
    (run,) = runs(server, bool)
    (step,) = waited(server, run["id"], 1)
    assert (run["agent_id"], step["prompt_tokens"], step["completion_tokens"]) == (
        "agent-codex",
        900,
        50,
    )


@pytest.mark.parametrize("kind", [JSON, PROTOBUF])
def test_logs_of_no_call_are_refused_with_a_word(sample: RunningServer, kind: str) -> None:
    document = logs(record("claude_code.user_prompt", 1, session__id=SESSION))
    body = ParseDict(document, LogsData()).SerializeToString() if kind == PROTOBUF else document
    answer = post(sample, body, kind, "/v1/logs")
    assert (answer.status_code, answer.headers["content-type"]) == (404, kind)
    assert b"OTEL_LOGS_EXPORTER=none" in answer.content


def details(number: int, used: int, trace: int = 7) -> dict[str, Any]:
    named = {"traceId": f"{trace:032x}", "spanId": f"{number:016x}"}
    event = record(
        "",
        2,
        event__name="gen_ai.client.inference.operation.details",
        gen_ai__operation__name="chat",
        gen_ai__request__model="m",
        gen_ai__usage__input_tokens=used,
        gen_ai__usage__output_tokens=1,
    )
    return {**event, **named}


@pytest.mark.parametrize("span_tells", [True, False])
@pytest.mark.parametrize("first", ["logs", "span"])
def test_a_call_that_its_span_and_a_log_event_tell_is_one_step(
    server: RunningServer, first: str, span_tells: bool
) -> None:
    called = chat(2, 1, 10) if span_tells else span(2, 1, gen_ai__operation__name="chat")
    sent = [
        lambda: post(server, request(agent(1), called)),
        lambda: post(server, logs(details(2, 10)), path="/v1/logs"),
    ]
    for send in sent if first == "span" else reversed(sent):
        assert send().status_code == 200
    (run,) = runs(server, done)
    expect_tokens(server, [10], run["id"])


def test_a_log_event_that_was_recorded_before_its_span_is_not_counted_again(
    server: RunningServer,
) -> None:
    post(server, logs(details(2, 10)), path="/v1/logs")
    (before,) = runs(server, bool)
    expect_tokens(server, [10], before["id"])
    post(server, request(agent(1), chat(2, 1, 10), chat(3, 1, 5)))
    found = runs(server, lambda seen: len(seen) == 2 and done(seen))
    expect_tokens(server, [5, 10], *(run["id"] for run in found))


def transcript(folder: Path, session: str, *numbers: int) -> Path:
    import json

    at = "2026-01-05T08:00:0{}.000Z"
    lines = [
        {
            "type": "user",
            "uuid": "11111111-1111-4111-8111-111111111111",
            "sessionId": session,
            "timestamp": at.format(0),
            "message": {"role": "user", "content": "go"},
        }
    ]
    lines += [
        {
            "type": "assistant",
            "uuid": f"11111111-1111-4111-8111-00000000000{number}",
            "sessionId": session,
            "timestamp": at.format(number),
            "requestId": f"req_{number}",
            "message": {
                "id": f"msg_{number}",
                "role": "assistant",
                "model": "claude-opus-4-5",
                "stop_reason": "end_turn",
                "content": [{"type": "text", "text": "ok"}],
                "usage": {"input_tokens": 10, "output_tokens": number},
            },
        }
        for number in numbers
    ]
    path = folder / f"{session}.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


async def imported(ledger: RunLedger, *paths: Path) -> Any:
    return await ClaudeCodeImport(ledger.store, ledger.handler, Actor()).run(paths)


def test_a_transcript_of_received_calls_is_refused_by_name(
    server: RunningServer, tmp_path: Path
) -> None:
    post(server, logs(call(1), call(2)), path="/v1/logs")
    (run,) = runs(server, bool)
    assert len(waited(server, run["id"], 2)) == 2
    report = server.do(imported(server.ledger, transcript(tmp_path, SESSION, 1, 2)))
    (refusal,) = report.refusals
    assert SESSION in refusal.reason
    assert report.recorded == 0
    # A fork copies the history under another session, with a call of its own.
    fork = "4d0c1f39-9f5c-4f0e-8f0f-0f2f8e5d1c11"
    report = server.do(imported(server.ledger, transcript(tmp_path / ".", fork, 1, 2, 3)))
    assert (report.recorded, len(report.refusals)) == (1, 0)
    found = runs(server, lambda seen: len(seen) == 2)
    every = [
        step
        for one in found
        for step in waited(server, one["id"], 2 if one["id"] == run["id"] else 1)
    ]
    assert sorted(step["completion_tokens"] for step in every) == [1, 2, 3]


def test_events_of_an_imported_session_are_left_out_by_name(
    server: RunningServer, tmp_path: Path
) -> None:
    report = server.do(imported(server.ledger, transcript(tmp_path, SESSION, 1, 2)))
    assert (report.recorded, len(report.refusals)) == (1, 0)
    assert post(server, logs(call(1), call(2)), path="/v1/logs").status_code == 200

    def notes() -> list[str]:
        return [row.note for row in server.ledger.store.spans.latest(Actor().organization, 10)]

    async def noted() -> list[str]:
        return await asyncio.to_thread(notes)

    end = time.monotonic() + 60
    while not any("transcript" in note for note in server.do(noted())):
        assert time.monotonic() < end
        time.sleep(0.1)
    (run,) = runs(server, bool)
    assert sorted(step["completion_tokens"] for step in waited(server, run["id"], 2)) == [1, 2]
