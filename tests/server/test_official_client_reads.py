"""The official client, unmodified and strict, sees what the ledger says."""

import asyncio
import json
from collections.abc import Callable, Iterable
from typing import Any

import letta_client
import pytest
from letta_client import AsyncLetta, Letta
from running import RunningServer
from sample import CONVERSATION, RICH, id_of

from runledger.compat.records import run_of, step_metrics_of, step_of
from runledger.records import RunRecord

RUN = "run-00000000-0000-4000-8000-000000000000"
STEP = "step-00000000-0000-4000-8000-000000000000"


def _told(item: Any) -> Any:
    return json.loads(item.to_json(exclude_unset=False, use_api_names=True))


def _said(model: Any, like: dict[str, Any]) -> dict[str, Any]:
    """Return our record, with the fields that the client knows."""
    # The client reads both ways of writing UTC, and writes one.
    said = json.loads(model.model_dump_json().replace("+00:00", "Z"))
    return {name: said[name] for name in like if name in said}


def _same(items: Iterable[Any], expected: Iterable[Any]) -> None:
    pairs = list(zip(items, expected, strict=True))
    assert pairs
    for item, model in pairs:
        told = _told(item)
        assert {name: told[name] for name in _said(model, told)} == _said(model, told)


def _runs(server: RunningServer, **filters: Any) -> list[RunRecord]:
    return server.do(server.ledger.list_runs(limit=1000, **filters))


@pytest.fixture
def letta(sample: RunningServer) -> Letta:
    return sample.letta()


def test_it_is_healthy(letta: Letta) -> None:
    assert letta.health().status == "ok"


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("limit", [1, 3, 50])
def test_paging_gives_every_run_once(
    sample: RunningServer, letta: Letta, order: Any, limit: int
) -> None:
    expected = _runs(sample, ascending=order == "asc")
    _same(letta.runs.list(order=order, limit=limit), map(run_of, expected))


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_paging_backwards_gives_every_run_once(
    sample: RunningServer, letta: Letta, order: Any
) -> None:
    expected = [run.run_id for run in _runs(sample, ascending=order == "asc")]
    pages = letta.runs.list(order=order, limit=2, before=expected[-1]).iter_pages()
    found = [[run.id for run in page.items] for page in pages]
    assert [run_id for page in reversed(found) for run_id in page] == expected[:-1]


def test_every_filter_leaves_what_the_ledger_leaves(sample: RunningServer, letta: Letta) -> None:
    for asked, filters in (
        ({"agent_id": "agent-rich"}, {"agent_ids": ["agent-rich"]}),
        ({"agent_ids": ["agent-rich", "agent-support"]}, None),
        ({"agent_id": "agent-rich", "agent_ids": ["agent-support"]}, {"agent_id": "agent-rich"}),
        ({"background": True}, None),
        ({"conversation_id": CONVERSATION}, None),
        ({"statuses": ["failed", "cancelled"]}, None),
        ({"stop_reason": "requires_approval"}, None),
        ({"active": True}, {"statuses": ["created", "running"]}),
        ({"active": True, "statuses": ["failed"]}, {"statuses": ["failed"]}),
        ({"ascending": True, "order": "desc"}, {"ascending": True}),
    ):
        expected = _runs(sample, **(filters or asked))  # type: ignore[arg-type]
        assert expected, asked
        assert [run.id for run in letta.runs.list(**asked)] == [r.run_id for r in expected]  # type: ignore[arg-type]


def test_one_run_is_the_same_alone_and_in_the_list(sample: RunningServer) -> None:
    with sample.client() as client:
        for run in client.get("/v1/runs/", params={"limit": 1000}).json():
            assert client.get(f"/v1/runs/{run['id']}").json() == run
            assert client.get(f"/v1/runs/{run['id']}/").json() == run
            assert run["created_at"].endswith("Z")


@pytest.mark.slow
def test_steps_messages_usage_and_metrics_of_every_run(sample: RunningServer, letta: Letta) -> None:
    ledger = sample.ledger
    for run in _runs(sample):
        given = run.run_id
        assert _told(letta.runs.retrieve(given))["id"] == given
        for order in ("asc", "desc"):
            steps = sample.do(ledger.get_run_steps(given, order=order))  # type: ignore[arg-type]
            if steps:
                _same(letta.runs.steps.list(given, order=order, limit=2), map(step_of, steps))  # type: ignore[arg-type]
            messages = sample.do(ledger.get_run_messages(given, order=order, limit=None))  # type: ignore[arg-type]
            if messages:
                _same(letta.runs.messages.list(given, order=order, limit=1), messages)  # type: ignore[arg-type]
        shown = sample.do(ledger.get_run_messages(given, limit=None))
        for step in sample.do(ledger.get_run_steps(given)):
            assert _told(letta.steps.retrieve(step.step_id))["id"] == step.step_id
            _same(
                [letta.steps.metrics.retrieve(step.step_id)],
                [step_metrics_of(step)],
            )
            assert letta.steps.trace.retrieve(step.step_id) is None
            said = [message.id for message in letta.steps.messages.list(step.step_id)]
            assert said == [one.id for one in shown if one.step_id == step.step_id]
        usage = letta.runs.usage.retrieve(given)
        assert usage.total_tokens == run.total_tokens


def test_the_details_of_usage(letta: Letta) -> None:
    usage = letta.runs.usage.retrieve(RICH)
    assert usage.prompt_tokens_details is not None
    assert usage.prompt_tokens_details.cached_tokens == 3
    assert usage.prompt_tokens_details.cache_creation_tokens == 4
    assert usage.completion_tokens_details is not None
    assert usage.completion_tokens_details.reasoning_tokens == 5


def test_steps_over_runs(sample: RunningServer, letta: Letta) -> None:
    everything = sample.do(sample.ledger.list_steps(limit=1000))
    _same(letta.steps.list(limit=3), map(step_of, everything))
    assert [step.id for step in letta.steps.list(tags=["red"])] == [id_of("step", "first")]
    assert [step.id for step in letta.steps.list(model="claude")] == [id_of("step", "first")]


def test_the_asynchronous_client_pages_too(sample: RunningServer) -> None:
    async def ids() -> list[str]:
        async with AsyncLetta(base_url=sample.url, _strict_response_validation=True) as letta:
            return [run.id async for run in letta.runs.list(limit=2)]

    assert asyncio.run(ids()) == [run.run_id for run in _runs(sample)]


REFUSED: list[tuple[type[Exception], str, Callable[[Letta], Any]]] = [
    (letta_client.BadRequestError, "Invalid run ID format", lambda c: c.runs.retrieve("run-1")),
    (letta_client.BadRequestError, "Invalid run ID", lambda c: c.runs.retrieve("../../etc?x=/y")),
    (letta_client.BadRequestError, "statuses", lambda c: c.runs.list(statuses=["done"])),
    (letta_client.NotFoundError, "not found", lambda c: c.runs.retrieve(RUN)),
    (letta_client.NotFoundError, "not found", lambda c: c.runs.list(after=RUN)),
    (letta_client.NotFoundError, "not found", lambda c: c.runs.steps.list(RICH, after=STEP)),
    (letta_client.NotFoundError, "not found", lambda c: c.steps.retrieve(STEP)),
    (letta_client.UnprocessableEntityError, "limit", lambda c: c.runs.list(limit=0)),
    (letta_client.UnprocessableEntityError, "limit", lambda c: c.runs.list(limit=1001)),
    (letta_client.UnprocessableEntityError, "both", lambda c: c.runs.list(after=RUN, before=RUN)),
    (letta_client.InternalServerError, "ledger", lambda c: c.agents.list()),
    (letta_client.InternalServerError, "ledger", lambda c: c.runs.trace.retrieve(RICH)),
]


@pytest.mark.parametrize(("error", "words", "call"), REFUSED)
def test_a_refusal_has_the_clients_class_and_our_words(
    sample: RunningServer, error: Any, words: str, call: Callable[[Letta], Any]
) -> None:
    # With the client's own retries: one that it should not make would be made here.
    client = Letta(base_url=sample.url, _strict_response_validation=True)
    with pytest.raises(error, match=words) as refused:
        call(client)
    assert isinstance(refused.value.body["detail"], str)
    assert refused.value.response.headers["x-should-retry"] == "false"


def test_an_unknown_parameter_is_ignored(letta: Letta) -> None:
    assert letta.runs.list(extra_query={"new_in_1_13": "x"}).items


def test_an_unknown_address_is_told_in_json(sample: RunningServer) -> None:
    with sample.client() as client:
        answer = client.get("/v1/nothing")
    assert (answer.status_code, answer.json()) == (404, {"detail": "no such address"})


@pytest.mark.one_database
@pytest.mark.parametrize("limit", [1, 3, 50])
def test_paging_while_runs_arrive_gives_the_old_ones_once(
    server: RunningServer, limit: int
) -> None:
    old = [server.do(server.ledger.create_run("agent-a")).run_id for _ in range(7)]
    letta = server.letta()
    for order in ("asc", "desc"):
        found = []
        for run in letta.runs.list(order=order, limit=limit):  # type: ignore[arg-type]
            found.append(run.id)
            if len(found) <= 3:
                server.do(server.ledger.create_run("agent-b"))
        assert len(found) == len(set(found))
        assert [run_id for run_id in found if run_id in old] == (
            old if order == "asc" else old[::-1]
        )
