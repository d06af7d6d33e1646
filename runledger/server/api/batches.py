"""Batches: commands as lines of JSON, executed once by an `Idempotency-Key`.

All lines are read before the first is executed; what was recorded stays if others are refused.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, Final, Literal

from pydantic import BaseModel

from runledger.errors import InvalidArgument
from runledger.ids import is_id
from runledger.ledger.batches import OPS, Batches, BatchLine, LineResult
from runledger.server.api import command_bodies as bodies
from runledger.server.call import Call, Reply
from runledger.server.parameters import read_model
from runledger.server.problems import document, refusal_of
from runledger.server.refusal import Refusal
from runledger.server.route import NDJSON, Route, Strict
from runledger.server.strict_json import read_json

MOST_LINES: Final = 10_000

_BODIES: Final[Mapping[str, type[BaseModel]]] = {
    "create_run": bodies.CreateRun,
    "start_run": bodies.Timed,
    "start_step": bodies.StartStep,
    "record_step": bodies.RecordStep,
    "record_messages": bodies.RecordMessages,
    "patch_metadata": bodies.PatchMetadata,
    "record_heartbeat": bodies.Timed,
    "complete_run": bodies.CompleteRun,
    "fail_run": bodies.FailRun,
    "cancel_run": bodies.CancelRun,
    "delete_run": Strict,
    "record_run_feedback": bodies.RunFeedback,
}


class Result(BaseModel):
    """The outcome of a line; `position` is null if nothing was appended for it."""

    line: int
    status: Literal["recorded", "unchanged", "refused"]
    run_id: str | None
    step_id: str | None = None
    message_ids: list[str] = []
    position: int | None = None
    problem: dict[str, Any] | None = None


class Results(BaseModel):
    """The outcome of a batch; `position` is the last one of its appends, null if there is none."""

    position: int | None
    results: list[Result]


async def record_batch(call: Call[Strict, bytes]) -> Reply:
    """Execute the commands of a batch; 422 if a line was refused, the others are recorded."""
    lines = await asyncio.to_thread(_read, call.body, call.services.limits.depth)
    done = await call.ledger.part(Batches).record_batch(
        lines, idempotency_key=call.headers.get("idempotency-key"), actor=call.actor
    )
    results = [_result(one, call.request_id) for one in done]
    position = max((one.position for one in done if one.position is not None), default=None)
    good = all(result.status != "refused" for result in results)
    return Reply(Results(position=position, results=results), 200 if good else 422)


def _read(data: bytes, depth: int) -> list[BatchLine]:
    """Return the lines; one that is not JSON refuses the batch."""
    texts = data.removesuffix(b"\n").split(b"\n") if data else []
    if len(texts) > MOST_LINES:
        raise Refusal(413, f"expected {MOST_LINES} lines at most, found {len(texts)}")
    lines: list[BatchLine] = []
    for number, text in enumerate(texts, 1):
        try:
            given = read_json(text, depth)
        except Refusal as e:
            where: list[dict[str, object]] = [{"line": number, "detail": e.detail}]
            raise Refusal(
                400, f"line {number}: {e.detail}", code="syntax", more={"errors": where}
            ) from None
        try:
            lines.append(_line(number, given))
        except Refusal as e:
            of = given.get("run_id") if isinstance(given, dict) else None
            run_id = of if isinstance(of, str) else None
            lines.append(BatchLine(number, "", run_id, {}, InvalidArgument(e.detail)))
    return lines


def _line(number: int, given: Any) -> BatchLine:
    if not isinstance(given, dict) or given.get("op") not in OPS:
        raise Refusal(422, f"line {number}: expected an object with an op of {', '.join(OPS)}")
    op = given["op"]
    given = {name: value for name, value in given.items() if name != "op"}
    run_id = None if op == "create_run" else given.get("run_id")
    named = {name: value for name, value in given.items() if op == "create_run" or name != "run_id"}
    body = read_model(_BODIES[op], named, of="pointer")
    arguments = {name: getattr(body, name) for name in body.model_fields_set}
    if op == "create_run":
        run_id = arguments.pop("run_id", None)
    elif not isinstance(run_id, str):
        raise Refusal(422, f"line {number}: expected the run_id of a run")
    return BatchLine(number, op, run_id, arguments)


def _result(done: LineResult, request_id: str) -> Result:
    return Result(
        line=done.number,
        status=done.status,
        run_id=done.run_id if is_id("run", done.run_id) else None,
        step_id=done.step_id,
        message_ids=list(done.message_ids),
        position=done.position,
        problem=None if done.error is None else document(refusal_of(done.error), request_id),
    )


ROUTES: Final = (
    Route(
        "POST",
        "/api/v1/batches",
        "api_record_batch",
        record_batch,
        scope="runs:write",
        query=Strict,
        takes=(NDJSON,),
        raw=True,
        gzip=True,
        batch=True,
        answer=Results,
        errors=(400, 403, 408, 413, 415, 422, 503),
        answering=(422,),
        summary="Execute commands, one a line.",
    ),
)
