"""Commands as addresses: one for each of the ledger's, with its arguments as the body.

`Idempotency-Key` makes a command happen once, `If-Match` expects a version (`ETag` of an answer).
"""

import re
from collections.abc import Mapping
from typing import Any, Final, Literal

from pydantic import BaseModel

from runledger.errors import InvalidArgument, NotFound
from runledger.records import RunRecord, StepView
from runledger.run.parties import Agent
from runledger.run.step_facts import expect_known
from runledger.server.api import command_bodies as bodies
from runledger.server.api.api_route import api_route
from runledger.server.call import Call, Reply
from runledger.server.route import Route, Strict

_ETAG: Final = re.compile(r'"([1-9][0-9]{0,17})"\Z')
_ERRORS: Final = (400, 403, 404, 409, 412, 415, 422, 503)


class StepId(BaseModel):
    """The id of a step, given or made."""

    step_id: str


class MessageIds(BaseModel):
    """The ids of the recorded messages, in their order."""

    message_ids: list[str]


class Cancelled(BaseModel):
    """The outcome of a cancel: `cancelled` by this call, or `already_ended` as the run says."""

    outcome: Literal["cancelled", "already_ended"]
    run: RunRecord


AnyCall = Call[Strict, Any]


async def create_run(call: Call[Strict, bodies.CreateRun]) -> Reply:
    """Create a run; 201 with its address, or 200 if it was there."""
    body, ledger = call.body, call.ledger
    known = False
    if body.run_id is not None:
        try:
            await ledger.get_run_by_id(body.run_id, actor=call.actor)
            known = True
        except NotFound:
            known = False
    options = _options(call)
    if options.pop("expected_version", None) is not None:
        raise InvalidArgument("if-match: expected none at a creation")
    made = await ledger.create_run(**_given(body), **options)
    if known:
        return _versioned(made)
    return Reply(made, 201, {"Location": f"/api/v1/runs/{made.run_id}", **_etag(made)})


async def update_run(call: Call[Strict, bodies.UpdateRun]) -> Reply:
    """Map an update of fields onto the run's transitions; return the run."""
    return _versioned(await call.ledger.update_run(**_arguments(call)))


async def delete_run(call: AnyCall) -> None:
    """Take the run out of every list and getter."""
    await call.ledger.delete_run(**_arguments(call))


async def start_run(call: AnyCall) -> Reply:
    """Say that work on the run began; return the run."""
    return _versioned(await call.ledger.start_run(**_arguments(call)))


async def record_heartbeat(call: AnyCall) -> None:
    """Say that the worker is alive."""
    await call.ledger.record_heartbeat(**_arguments(call))


async def complete_run(call: AnyCall) -> Reply:
    """End the run well; return it."""
    return _versioned(await call.ledger.complete_run(**_arguments(call)))


async def fail_run(call: AnyCall) -> Reply:
    """End the run badly; return it."""
    return _versioned(await call.ledger.fail_run(**_arguments(call)))


async def cancel_run(call: AnyCall) -> Reply:
    """Cancel the run; return it, and whether this call did it."""
    done = await call.ledger.cancel_run(**_arguments(call))
    return Reply(Cancelled(**done._asdict()), headers=_etag(done.run))


async def cancel_runs(call: Call[Strict, bodies.CancelRuns]) -> list[Cancelled]:
    """Cancel every open run of an agent or of a conversation, the newest first."""
    done = await call.ledger.cancel_runs(**_given(call.body), actor=call.actor)
    return [Cancelled(**one._asdict()) for one in done]


async def patch_metadata(call: AnyCall) -> Reply:
    """Set top-level keys of the metadata, take keys away; return the run."""
    return _versioned(await call.ledger.patch_metadata(**_arguments(call)))


async def start_step(call: AnyCall) -> StepId:
    """Say that a step began."""
    return StepId(step_id=await call.ledger.start_step(**_arguments(call)))


async def record_step(call: Call[Strict, bodies.RecordStep]) -> StepId:
    """Record a step that ended, with its usage and messages, in one append."""
    arguments = _arguments(call)
    facts: dict[str, Any] = arguments.pop("facts", {})
    expect_known("facts", facts)
    return StepId(step_id=await call.ledger.record_step(**arguments, **facts))


async def record_messages(call: AnyCall) -> MessageIds:
    """Record messages outside of a step."""
    return MessageIds(message_ids=await call.ledger.record_messages(**_arguments(call)))


async def record_run_feedback(call: AnyCall) -> Reply:
    """Record a person's judgement of the run; return the run."""
    return _versioned(await call.ledger.record_run_feedback(**_arguments(call)))


async def record_step_feedback(call: AnyCall) -> StepView:
    """Record a person's judgement of a step that has ended; return the step."""
    return await call.ledger.record_step_feedback(**_arguments(call))


async def redeliver_callback(call: AnyCall) -> None:
    """Ask for the run's callback to be sent again, at once."""
    await call.ledger.redeliver_callback(**_arguments(call))


async def register_agent(call: Call[Strict, bodies.RegisterAgent]) -> Agent:
    """Make an agent known, or tell its new project, name or type."""
    return await call.ledger.register_agent(
        call.names["agent_id"], **_given(call.body), actor=call.actor
    )


def _given(body: BaseModel) -> dict[str, Any]:
    """Return the arguments that the caller gave; the ledger's own defaults stand for the others."""
    return {name: getattr(body, name) for name in body.model_fields_set}


def _arguments(call: AnyCall) -> dict[str, Any]:
    given = {} if call.body is None else _given(call.body)
    return {**call.names, **given, **_options(call)}


def _options(call: Call[Any, Any]) -> dict[str, Any]:
    options: dict[str, Any] = {"actor": call.actor}
    if (key := call.headers.get("idempotency-key")) is not None:
        options["idempotency_key"] = key
    if (etag := call.headers.get("if-match")) is not None:
        found = _ETAG.match(etag)
        if found is None:
            raise InvalidArgument(f'if-match: expected a version such as "3", found {etag!r:.80}')
        options["expected_version"] = int(found[1])
    return options


def _versioned(run: RunRecord) -> Reply:
    return Reply(run, headers=_etag(run))


def _etag(run: RunRecord) -> Mapping[str, str]:
    return {"ETag": f'"{run.version}"'}


def _route(
    method: Literal["POST", "PUT", "PATCH", "DELETE"],
    path: str,
    handler: Any,
    answer: Any,
    body: type[BaseModel] | None = None,
    *also: int,
) -> Route:
    return api_route(
        method,
        path,
        handler,
        answer,
        scope="runs:write",
        body=body,
        errors=(*_ERRORS, *also),
        answering=also,
    )


ROUTES: Final = (
    _route("POST", "runs", create_run, RunRecord, bodies.CreateRun, 201),
    _route("PATCH", "runs/{run_id}", update_run, RunRecord, bodies.UpdateRun),
    _route("DELETE", "runs/{run_id}", delete_run, None),
    _route("POST", "runs/{run_id}/start", start_run, RunRecord, bodies.Timed),
    _route("POST", "runs/{run_id}/heartbeat", record_heartbeat, None, bodies.Timed),
    _route("POST", "runs/{run_id}/complete", complete_run, RunRecord, bodies.CompleteRun),
    _route("POST", "runs/{run_id}/fail", fail_run, RunRecord, bodies.FailRun),
    _route("POST", "runs/{run_id}/cancel", cancel_run, Cancelled, bodies.CancelRun),
    _route("POST", "runs/cancel", cancel_runs, list[Cancelled], bodies.CancelRuns),
    _route("POST", "runs/{run_id}/metadata", patch_metadata, RunRecord, bodies.PatchMetadata),
    _route("POST", "runs/{run_id}/steps/start", start_step, StepId, bodies.StartStep),
    _route("POST", "runs/{run_id}/steps", record_step, StepId, bodies.RecordStep),
    _route("POST", "runs/{run_id}/messages", record_messages, MessageIds, bodies.RecordMessages),
    _route("POST", "runs/{run_id}/feedback", record_run_feedback, RunRecord, bodies.RunFeedback),
    _route("POST", "steps/{step_id}/feedback", record_step_feedback, StepView, bodies.StepFeedback),
    _route("POST", "runs/{run_id}/callback", redeliver_callback, None),
    _route("PUT", "agents/{agent_id}", register_agent, Agent, bodies.RegisterAgent),
)
