"""Every route of the application is asked for another organization's things, wherever it takes one.

The routes, their parameters and the fields of their bodies come from the application, so that a new
one is asked too.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, get_args

import pytest
from running import RunningServer

from projections.queries.run_filter import RunFilters
from projections.queries.step_filter import StepFilters
from runledger import Actor
from runledger.ids import derived_id
from runledger.server.keys import Keyring
from runledger.server.limits import Limits
from runledger.server.route import NDJSON, Route

pytestmark = pytest.mark.slow

MINE, THEIRS = Actor("org-mine"), Actor("org-theirs")
NAMES = ("run_id", "step_id", "agent_id", "conversation_id", "message_id", "view", "trace_id")
PLACES: dict[str, tuple[str, ...]] = {
    **{name: (name,) for name in NAMES},
    "name": ("view",),
    "agent_ids": ("agent_id",),
    "run_ids": ("run_id",),
    "trace_ids": ("trace_id",),
    "after": ("run_id", "step_id", "message_id"),
    "before": ("run_id", "step_id", "message_id"),
}
"""The name of a parameter, of a field or in a path → the kinds of thing that may stand there."""

BODIES: dict[str, dict[str, Any]] = {
    "api_create_run": {"agent_id": "agent-mine"},
    "api_record_messages": {"messages": [{"role": "user", "content": "hi"}]},
    "api_record_run_feedback": {"feedback": "positive"},
    "api_record_step_feedback": {"feedback": "positive"},
    "api_ask_sql": {"statement": "SELECT * FROM runs"},
    "api_begin": {"kind": "verify"},
    "api_expire_runs": {"older_than": "PT0S"},
    "api_save_view": {"text": "true"},
}
"""What the body of a route must have."""

FILTERS = {
    "api_search_runs": RunFilters,
    "api_run_durations": RunFilters,
    "api_search_steps": StepFilters,
}
MAKERS = {"api_create_run", "api_save_view", "api_register_agent"}
"""They make things of these names of our own, so they come last; of their answers, which have new
ids and times, the status alone is compared."""

OPERATORS = {"operate", "sql"}
WITHOUT_IDS_OF_TENANTS = {"operation_id", "number"}


class Asked(NamedTuple):
    """A request: its path, its query, and its body as an object, None without."""

    path: str
    query: dict[str, Any]
    body: dict[str, Any] | None


@pytest.fixture
def server(start: Callable[..., RunningServer]) -> RunningServer:
    """A server whose followers soon say that there is nothing."""
    return start(limits=Limits(ping_seconds=0.1))


@pytest.fixture
def ids(server: RunningServer) -> list[dict[str, str]]:
    """The ids of another organization's things, and ids of nothing."""
    kinds = {"conversation_id": "conv"}
    there, nothing = (
        {name: derived_id(kinds.get(name, name.removesuffix("_id")), what) for name in NAMES}
        for what in ("foreign", "nothing")
    )

    async def make() -> None:
        ledger = server.ledger
        await ledger.create_run(
            there["agent_id"],
            run_id=there["run_id"],
            conversation_id=there["conversation_id"],
            metadata={"a": "secret"},
            actor=THEIRS,
        )
        message = {"role": "assistant", "content": "secret", "id": there["message_id"]}
        await ledger.record_step(
            there["run_id"],
            step_id=there["step_id"],
            messages=[message],
            trace_id=there["trace_id"],
            actor=THEIRS,
        )
        await ledger.save_view(there["view"], "agent_id = 'secret'", actor=THEIRS)

    server.do(make())
    return [there, nothing]


def _segments(route: Route) -> list[str]:
    return [part[1:-1] for part in route.path.split("/") if part.startswith("{")]


def _asked(route: Route, ids: Mapping[str, str]) -> Iterator[Asked]:
    """Yield the requests of a route: for its path, and for each parameter and field that names."""
    path = route.path
    for name in _segments(route):
        stands = ids[PLACES[name][0]] if name in PLACES else "1"
        path = path.replace("{" + name + "}", stands)
    base = None if route.body is None else BODIES.get(route.name, {})
    yield Asked(path, {}, base)
    for name, field in route.query.model_fields.items():
        if int not in get_args(field.annotation):
            for kind in PLACES.get(name, ()):
                value = [ids[kind]] if name.endswith("ids") else ids[kind]
                yield Asked(path, {name: value}, base)
    if base is not None and route.body is not None:
        for name in route.body.model_fields:
            # A run's id is taken once for all organizations: nobody can make another's again.
            if name in PLACES and (route.name, name) != ("api_create_run", "run_id"):
                yield Asked(path, {}, {**base, name: _value(name, ids, PLACES[name][0])})
        for name in FILTERS[route.name].__annotations__ if route.name in FILTERS else ():
            for kind in PLACES.get(name, ()):
                yield Asked(path, {}, {**base, "filters": {name: _value(name, ids, kind)}})


def _value(name: str, ids: Mapping[str, str], kind: str) -> Any:
    return [ids[kind]] if name.endswith("ids") else ids[kind]


def _told(client: Any, route: Route, asked: Asked, ids: Mapping[str, str]) -> Any:
    """Return status, text and headers, with the ids that were asked for left out."""
    kind = {"Content-Type": route.takes[0]} if route.takes else {}
    content: Any = None if asked.body is None else json.dumps(asked.body).encode()
    if route.raw and route.takes[0] == NDJSON:
        content = json.dumps({"op": "start_run", "run_id": ids["run_id"]}).encode()
    with client.stream(
        route.method, asked.path, params=asked.query, content=content, headers=kind
    ) as answer:
        pieces = answer.iter_bytes()
        endless = answer.headers.get("content-type", "").startswith("text/event-stream")
        # A follower without an end has said by its third piece what it has.
        taken = [piece for piece, _ in zip(pieces, range(3), strict=False)] if endless else pieces
        text = b"".join(taken).decode("utf-8", "replace")
        headers = {k: v for k, v in answer.headers.items() if k != "date"}
    whole = json.dumps([answer.status_code, text, headers])
    for name, given in ids.items():
        whole = whole.replace(given, f"<{name}>")
    return whole


def test_no_route_tells_of_another_organization(
    server: RunningServer, ids: list[dict[str, str]]
) -> None:
    made = Keyring(server.ledger.store).create(name="me", organization=MINE.organization)
    headers = {"Authorization": f"Bearer {made.text}", "X-Request-Id": "same"}
    there, nothing = ids
    before = _of_them(server, there["run_id"])
    compared: set[str] = set()
    answered = 0
    with server.client(headers=headers) as client:
        for route in sorted(server.application.routes, key=lambda one: one.name in MAKERS):
            unknown = set(_segments(route)) - PLACES.keys() - WITHOUT_IDS_OF_TENANTS
            if route.status == 501 or route.path in ("/healthz", "/readyz", "/metrics"):
                continue
            assert not unknown or "unanswered" in route.handler.__module__, (route.path, unknown)
            pairs = zip(_asked(route, there), _asked(route, nothing), strict=True)
            for foreign, missing in pairs:
                told = [
                    _told(client, route, foreign, there),
                    _told(client, route, missing, nothing),
                ]
                assert "secret" not in told[0], (route.path, foreign)
                statuses = [json.loads(one)[0] for one in told]
                assert statuses[0] == statuses[1], (route.path, foreign, told)
                if route.name not in MAKERS:
                    assert told[0] == told[1], (route.path, foreign)
                if route.scope in OPERATORS:
                    assert statuses[0] in (400, 403, 422), (route.path, told[0])
                answered += statuses[0] not in (403, 422)
                compared.add(route.name)
    assert len(compared) > 150
    assert answered > 200
    assert _of_them(server, there["run_id"]) == before


def _of_them(server: RunningServer, run_id: str) -> Any:
    """Return all events of the other organization's run, and its views."""
    stored = server.ledger.store.read_stream(run_id, contents=True)
    return stored, server.do(server.ledger.list_views(actor=THEIRS))


def test_a_key_of_another_organization_s_request_is_free(
    server: RunningServer, ids: list[dict[str, str]]
) -> None:
    there, _ = ids
    ledger = server.ledger
    server.do(ledger.patch_metadata(there["run_id"], {"b": 1}, idempotency_key="k", actor=THEIRS))
    mine = server.do(ledger.create_run("agent-mine", actor=MINE)).run_id
    made = Keyring(ledger.store).create(name="me", organization=MINE.organization)
    headers = {"Authorization": f"Bearer {made.text}", "Idempotency-Key": "k"}
    with server.client(headers=headers) as client:
        answer = client.post(f"/api/v1/runs/{mine}/metadata", json={"patch": {"c": 2}})
        assert (answer.status_code, answer.json()["metadata"]) == (200, {"c": 2})
