"""Every error of the ledger has a status, words without insides, and a type of its own."""

import inspect
import json

import pytest
from running import RunningServer

from runledger import errors
from runledger.server.problems import STATUS, answered, kebab, problem, refusal_of
from runledger.server.refusal import Refusal

CLASSES = [
    error
    for error in vars(errors).values()
    if inspect.isclass(error) and issubclass(error, errors.LedgerError)
]
OURS = {
    errors.AccessRefused,
    errors.LogDamaged,
    errors.NotReadModels,
    errors.ReadModelsDiverged,
    errors.ArchiveDamaged,
    errors.ArchiveError,
    errors.ImportFailed,
    errors.LedgerError,
    errors.OutboundError,
    errors.OutboundFailed,
    errors.ProjectionFailed,
    errors.ReadModelsDamaged,
    errors.ReadModelsError,
    errors.StoreError,
    errors.StoreIsNewer,
    errors.StoreRefused,
    errors.UndecodableEvent,
    errors.UnsafeSetting,
}
"""Faults of the server, whose words are for its operator: they are in its log."""


def _made(kind: type[errors.LedgerError]) -> errors.LedgerError:
    made = kind.__new__(kind)
    Exception.__init__(made, "in /secret/path of postgresql://user:password@host")
    return made


@pytest.mark.parametrize("kind", CLASSES, ids=kebab)
def test_every_error_has_a_status(kind: type[errors.LedgerError]) -> None:
    found = answered(_made(kind))
    assert (found.status == 500) == (kind in OURS), f"{kind.__name__}: give it a status in STATUS"
    if found.status >= 500 or kind is errors.OnlyRead:
        assert "secret" not in refusal_of(_made(kind)).detail
    assert set(STATUS) <= set(CLASSES)


def test_a_problem_has_the_attributes_of_its_error() -> None:
    refusal = refusal_of(errors.ContentConflict("run", "run-1", "here"))
    told = json.loads(bytes(problem(refusal, "req-1", native=True).body))
    assert told == {
        "type": "urn:runledger:error:content-conflict",
        "title": "Conflict",
        "status": 409,
        "detail": str(errors.ContentConflict("run", "run-1", "here")),
        "request_id": "req-1",
        "kind": "run",
        "id": "run-1",
    }


def test_only_what_can_succeed_is_to_be_repeated() -> None:
    for error, again in (
        (errors.ConcurrentAppend("run-1", 1, 2), "true"),
        (errors.StoreUnavailable("x"), "true"),
        (errors.NotFound("run", "run-1"), "false"),
        (errors.AlreadyEnded("run-1", "x", "y", (), None), "false"),
        (errors.StoreRefused("x"), "false"),
    ):
        answer = problem(refusal_of(error), "r", native=False)
        assert answer.headers["x-should-retry"] == again, error
    assert problem(Refusal(501, "x"), "r", native=False).headers["x-should-retry"] == "false"
    assert "retry-after" in problem(Refusal(503, "x"), "r", native=True).headers


def test_a_store_that_does_not_answer_is_told_without_its_address(server: RunningServer) -> None:
    server.ledger.store.close()
    with server.client() as client:
        answer = client.get("/api/v1/runs/run-00000000-0000-4000-8000-000000000000")
        assert answer.status_code == 503, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert "sqlite" not in answer.text
        assert client.get("/readyz").status_code == 503
        assert client.get("/healthz").status_code == 200
