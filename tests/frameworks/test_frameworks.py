"""Runs of real frameworks, with their own fake models, through a real exporter to a real server.

`make test-frameworks` installs the frameworks and runs this; `make test` leaves it out without them.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.server.running import RunningServer

pydantic_ai = pytest.importorskip("pydantic_ai")
langchain_core = pytest.importorskip("langchain_core")
openinference = pytest.importorskip("openinference.instrumentation.langchain")

pytestmark = pytest.mark.frameworks


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    with RunningServer(f"sqlite:///{tmp_path}/runs.db", tmp_path / "runs.duckdb") as running:
        yield running


@pytest.fixture
def provider(server: RunningServer) -> Iterator[Any]:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    made = TracerProvider()
    exporter = OTLPSpanExporter(endpoint=f"{server.url}/v1/traces")
    made.add_span_processor(BatchSpanProcessor(exporter))
    yield made
    made.shutdown()


def run_with_steps(server: RunningServer, count: int) -> tuple[dict[str, Any], list[Any]]:
    end = time.monotonic() + 120
    while True:
        with server.client() as client:
            found = client.get("/v1/runs/").json()
            steps = [client.get(f"/v1/runs/{run['id']}/steps").json() for run in found]
        if len(found) == 1 and found[0]["status"] == "completed" and len(steps[0]) == count:
            return found[0], steps[0]
        assert time.monotonic() < end, (found, steps)
        time.sleep(0.2)


def kinds(server: RunningServer, run: dict[str, Any]) -> list[str]:
    with server.client() as client:
        found = client.get(f"/v1/runs/{run['id']}/messages").json()
    return [message["message_type"] for message in found]


def test_pydantic_ai(server: RunningServer, provider: Any) -> None:
    from pydantic_ai.models.instrumented import InstrumentationSettings
    from pydantic_ai.models.test import TestModel

    agent = pydantic_ai.Agent(TestModel(), name="weather", instructions="be brief")
    agent.instrument = InstrumentationSettings(tracer_provider=provider)

    @agent.tool_plain
    def forecast(city: str) -> str:
        return f"sun in {city}"

    result = agent.run_sync("how is it?")
    provider.force_flush()
    run, steps = run_with_steps(server, 2)
    assert run["agent_id"] == "agent-weather"
    assert sum(step["prompt_tokens"] for step in steps) == result.usage.input_tokens
    assert sum(step["completion_tokens"] for step in steps) == result.usage.output_tokens
    assert sorted(kinds(server, run)) == [
        "assistant_message",
        "system_message",
        "tool_call_message",
        "tool_return_message",
        "user_message",
    ]


def test_langchain(server: RunningServer, provider: Any) -> None:
    from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
    from langchain_core.messages import AIMessage
    from langchain_core.prompts import ChatPromptTemplate

    used = {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10}
    model = GenericFakeChatModel(messages=iter([AIMessage("because", usage_metadata=used)]))
    asked = ChatPromptTemplate.from_messages([("system", "be brief"), ("human", "{question}")])
    instrumentor = openinference.LangChainInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    try:
        (asked | model).invoke({"question": "why?"})
    finally:
        instrumentor.uninstrument()
    provider.force_flush()
    run, (step,) = run_with_steps(server, 1)
    assert (step["prompt_tokens"], step["completion_tokens"]) == (7, 3)
    assert kinds(server, run) == ["system_message", "user_message", "assistant_message"]
