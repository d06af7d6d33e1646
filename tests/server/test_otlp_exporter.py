"""The exporter of OpenTelemetry for Python, two of them, against a server that is killed."""

import threading
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from runledger.events import StepRecorded
from runledger.ids import DEFAULT_ORGANIZATION
from runledger.store import Store, open_store
from scripts.serving_process import ServingProcess

pytestmark = pytest.mark.slow

TRACES = 60
CALLS = 3
TOKENS = 20
EXPORTERS = 2
KILLS = 4


def _made(traces: int) -> Sequence[ReadableSpan]:
    """Spans of agents as the SDK makes them: a chat for each call, in which a library reports it."""
    kept = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource.create({"service.name": "made"}))
    provider.add_span_processor(SimpleSpanProcessor(kept))
    tracer = provider.get_tracer("made", "1.0")
    used = {"gen_ai.usage.input_tokens": TOKENS - 1, "gen_ai.usage.output_tokens": 1}
    for _ in range(traces):
        agent = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "made"}
        with tracer.start_as_current_span("invoke_agent made", attributes=agent):
            for _ in range(CALLS):
                chat = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}
                with (
                    tracer.start_as_current_span("chat m", attributes={**chat, **used}),
                    tracer.start_as_current_span(
                        "openai.chat", attributes={"llm.request.type": "chat", **used}
                    ),
                ):
                    pass
    return kept.get_finished_spans()


def _export(address: str, spans: Sequence[ReadableSpan]) -> None:
    exporter = OTLPSpanExporter(f"{address}/v1/traces", compression=Compression.Gzip, timeout=5)
    for begin in range(0, len(spans), 10):
        # What it gives up, after some seconds of its own, a program sends again.
        while exporter.export(spans[begin : begin + 10]) is not SpanExportResult.SUCCESS:
            time.sleep(0.1)


def _tokens(store: Store) -> list[int]:
    """The tokens of each run of the log."""
    runs: dict[str, int] = {}
    ended = set()
    for row in store.read_log(0, 100_000):
        if row.topic == "run.step_recorded":
            event = store.read_stream(row.stream, row.version - 1, row.version, False)[0].event
            assert isinstance(event, StepRecorded)
            runs[row.stream] = runs.get(row.stream, 0) + (event.total_tokens or 0)
        elif row.topic == "run.completed":
            ended.add(row.stream)
    return [runs[run_id] for run_id in ended]


def _begin(address: str, made: Sequence[Sequence[ReadableSpan]]) -> list[threading.Thread]:
    sending = [
        threading.Thread(target=_export, args=(address, spans), daemon=True) for spans in made
    ]
    for thread in sending:
        thread.start()
    return sending


def _await_spans(store: Store, count: int) -> None:
    end = time.monotonic() + 120
    while (found := store.spans.counts(DEFAULT_ORGANIZATION).spans) < count:
        assert time.monotonic() < end, f"{found} of {count} spans are there"
        time.sleep(0.005)


@pytest.mark.slow
def test_every_span_is_there_once_over_kills(store_url: str, tmp_path: Path) -> None:
    read_models = tmp_path / "runs.duckdb"
    made = [_made(TRACES) for _ in range(EXPORTERS)]
    total = sum(map(len, made))
    server = ServingProcess(store_url, read_models, 0, "--writer")
    sending: list[threading.Thread] = []
    kept = []
    for number in range(1, KILLS + 1):
        with server, closing(open_store(store_url)) as store:
            sending = sending or _begin(server.url, made)
            _await_spans(store, number * total // (KILLS + 1))
            server.kill()
            kept.append(store.spans.counts(DEFAULT_ORGANIZATION).spans)
    # Otherwise no kill met the exporters at work, and nothing was tried.
    assert any(0 < count < total for count in kept), kept
    with server:
        for thread in sending:
            thread.join(120)
            assert not thread.is_alive()
        with closing(open_store(store_url)) as store:
            end = time.monotonic() + 120
            while len(found := _tokens(store)) < TRACES * EXPORTERS and time.monotonic() < end:
                time.sleep(0.5)
            assert found == [CALLS * TOKENS] * (TRACES * EXPORTERS)
            counts = store.spans.counts(DEFAULT_ORGANIZATION)
            assert counts.spans == total == TRACES * EXPORTERS * (1 + 2 * CALLS)
            assert (counts.traces, counts.waiting) == (TRACES * EXPORTERS, 0)
