"""Requests made from the OpenAPI document: every answer is one that the document describes.

`make test-fuzz` brings schemathesis; RUNLEDGER_FUZZ_EXAMPLES are the requests of each operation.
"""

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from traceback import format_exception
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from running import RunningServer
from sample import CONVERSATION, id_of, make_sample

from runledger import RunLedger
from runledger.ids import derived_id
from runledger.ledger.batches import OPS

pytestmark = pytest.mark.fuzz

EXAMPLES = int(os.environ.get("RUNLEDGER_FUZZ_EXAMPLES", "25"))
OPEN_RUNS = 60
SECONDS = 300
"""Until an answer: no request fails because the machine is busy."""

Known = Mapping[str, Sequence[Any]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("described")

    def services(_: RunLedger) -> dict[str, Any]:
        return {"operations_folder": folder / "operations"}

    store, read_models = f"sqlite:///{folder}/runs.db", folder / "runs.duckdb"
    with RunningServer(store, read_models, services=services) as server:
        server.do(make_sample(server.ledger))
        yield server


@pytest.fixture(scope="module")
def known(server: RunningServer) -> Known:
    """What leads to something, by the names of parameters: open runs with steps among it."""
    runs = [derived_id("run", "described", str(number)) for number in range(OPEN_RUNS)]
    steps = [id_of("step", "first"), id_of("step", "second")]
    for number, run_id in enumerate(runs):
        at = "https://example.com/hook" if number % 2 else None
        server.do(server.ledger.create_run("agent-rich", run_id=run_id, callback_url=at))
        steps.append(server.do(server.ledger.record_step(run_id)))
    with server.client() as client:
        begun = client.post("/api/v1/operations", json={"kind": "export"}).json()
        with client.stream("GET", f"/api/v1/operations/{begun['id']}/follow") as followed:
            followed.read()
    return {
        "run_id": runs,
        "step_id": steps,
        "agent_id": ["agent-rich"],
        "conversation_id": [CONVERSATION, "default", "agent-rich"],
        "operation_id": [begun["id"]],
        "messages": [[{"role": "user", "content": "Hello?"}]],
        "statement": ["SELECT * FROM runs"],
        "stop_reason": ["end_turn", "error"],
        "facts": [{"prompt_tokens": 3}],
        "as_of": ["3", "2020-01-01T00:00:00Z"],
    }


def test_every_answer_is_described(server: RunningServer, known: Known) -> None:
    import schemathesis

    for kind in ("application/x-ndjson", "application/x-protobuf"):
        schemathesis.serializer(kind)(_octets)
    with server.client() as client:
        document = client.get("/api/v1/openapi.json").json()
    schema = schemathesis.openapi.from_dict(document)
    seen: dict[str, Counter[int]] = {}
    faults = []
    for operation in sorted((found.ok() for found in schema.get_all_operations()), key=_ends_runs):
        seen[operation.label] = statuses = Counter()
        try:
            _ask(server, operation, known, statuses)
        # All of them are told: a group of failures, and whatever reading an answer raises.
        except BaseException as e:
            if isinstance(e, KeyboardInterrupt):
                raise
            faults.append(f"{operation.label}: {''.join(format_exception(e, limit=0))}")
        print(operation.label, dict(statuses))
    assert not faults, "\n\n".join(faults)
    assert len(seen) == sum(1 for _ in server.application.routes)
    good = [label for label, statuses in seen.items() if min(statuses) < 400]
    # The others are answered with 501, and a few by what no description leads to.
    assert len(good) > 60, good


def _ends_runs(operation: Any) -> int:
    """Order what ends runs behind what needs open ones, and what takes them away behind all."""
    words = ("/complete", "/fail", "/cancel")
    return 2 * (operation.method == "delete") + operation.path.endswith(words)


def _ask(server: RunningServer, operation: Any, known: Known, statuses: Counter[int]) -> None:
    """Send requests to one operation; count the statuses of the answers."""

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def ask(data: st.DataObject) -> None:
        case = data.draw(operation.as_strategy())
        _aim(case, known, data)
        statuses[_sent(server, case)] += 1

    ask()


def _aim(case: Any, known: Known, data: st.DataObject) -> None:
    """Put in, mostly, what leads to something: other values end at the first check."""
    for part in (case.path_parameters, case.query, case.body):
        if not isinstance(part, dict):
            continue
        for name in sorted(part.keys() & known.keys()):
            drawn = st.sampled_from([*known[name]] * 4 + [part[name]])
            part[name] = data.draw(drawn)
        if "min_position" in part:
            # The answer waits for a position that the log does not have.
            part["min_position"] = 1
    if case.path == "/api/v1/batches":
        lines = st.fixed_dictionaries(
            {"op": st.sampled_from(OPS), "run_id": st.sampled_from(known["run_id"])},
            optional={name: st.sampled_from(known[name]) for name in ("messages", "agent_id")},
        )
        case.body = b"\n".join(json.dumps(line).encode() for line in data.draw(st.lists(lines)))


def _sent(server: RunningServer, case: Any) -> int:
    import requests

    request = case.as_transport_kwargs(base_url=server.url)
    with requests.request(**request, timeout=SECONDS, stream=True) as response:
        status: int = response.status_code
        assert status != 500, f"{request}: {response.text}"
        if "text/event-stream" in response.headers.get("Content-Type", ""):
            # It has no end of its own.
            described = case.operation.definition.raw["responses"]
            assert "text/event-stream" in described[str(status)]["content"]
        else:
            case.validate_response(response, checks=_checks())
    return status


def _octets(_: Any, value: Any) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def _checks() -> list[Any]:
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        response_headers_conformance,
        response_schema_conformance,
        status_code_conformance,
    )

    return [
        status_code_conformance,
        content_type_conformance,
        response_headers_conformance,
        response_schema_conformance,
    ]
