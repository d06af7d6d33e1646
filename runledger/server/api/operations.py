"""Long operations as resources: begun, looked at, followed, cancelled; their files fetched.

No path comes from a caller: what an operation writes lies in a folder of the server's own.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import Annotated, Any, Final

from pydantic import AwareDatetime, BaseModel, Field
from starlette.responses import FileResponse, Response

from runledger.ids import derived_id
from runledger.run.receipts import check_key
from runledger.server import event_stream
from runledger.server.api.api_route import api_route
from runledger.server.call import Call, Reply
from runledger.server.operation import Kind, Operation
from runledger.server.parameters import read_model
from runledger.server.route import EVENT_STREAM, Strict

Number = Annotated[int, Field(ge=0)]
_OCTETS: Final = "application/octet-stream"


class Part(Strict):
    """Selects the runs of a partial replay, as `runledger replay --run` and the like do."""

    runs: list[str] = Field(default_factory=list)
    agents: list[str] = Field(default_factory=list)
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    events_of_type: list[str] = Field(default_factory=list)


class Replay(Strict):
    """See Operator.replay; with `out`, the differences are a file of the operation."""

    switch: bool = False
    max_changed: str | None = None
    fail_if_changed: list[str] = Field(default_factory=list)
    limit: Number = 10
    explain: Number = 1
    explain_runs: list[str] = Field(default_factory=list)
    keep: Number = 2
    fresh: bool = False
    only_changed: bool = False
    selection: Part | None = None
    out: bool = False


class Switch(Strict):
    """See Operator.switch_generation."""

    number: Number


class Verify(Strict):
    """See Operator.verify."""

    sample: Annotated[int, Field(ge=1)] | None = None


class Compare(Strict):
    """See Operator.compare_generation; with `out`, the differences are a file of the operation."""

    number: Number
    limit: Number = 10
    explain: Number = 1
    explain_runs: list[str] = Field(default_factory=list)
    out: bool = False


class Copy(Strict):
    """A copy of the read models as a file; `as_of` is a position of the log or a time."""

    as_of: str | None = None


class Explain(Strict):
    """Of a generation beside the live one, the rows of these runs that differ, and why."""

    number: Number
    runs: Annotated[list[str], Field(min_length=1, max_length=100)]


ARGUMENTS: Final[Mapping[Kind, type[BaseModel]]] = {
    "replay": Replay,
    "switch": Switch,
    "verify": Verify,
    "compare": Compare,
    "explain": Explain,
    "archive": Strict,
    "publish": Strict,
    "copy": Copy,
    "export": Strict,
}


class Begin(Strict):
    """An operation to begin, with the arguments of its kind."""

    kind: Kind
    arguments: dict[str, Any] = Field(default_factory=dict)


async def begin(call: Call[Strict, Begin]) -> Reply:
    """Begin an operation; its address is in Location."""
    _expect_operator(call)
    asked = call.body
    given = read_model(ARGUMENTS[asked.kind], asked.arguments, of="pointer")
    arguments = given.model_dump(mode="json", exclude_unset=True)
    operation = call.services.operations.start(asked.kind, arguments, _named(call))
    return Reply(operation, headers={"Location": f"/api/v1/operations/{operation.id}"})


async def list_operations(call: Call[Strict, None]) -> list[Operation]:
    """List operations, the newest first."""
    _expect_operator(call)
    return call.services.operations.all()


async def get_operation(call: Call[Strict, None]) -> Operation:
    """Return an operation: how far it is, or what came of it."""
    _expect_operator(call)
    return call.services.operations.get(call.names["operation_id"])


async def cancel_operation(call: Call[Strict, None]) -> Operation:
    """Ask a replay or an archive to end at its next batch."""
    _expect_operator(call)
    return call.services.operations.cancel(call.names["operation_id"])


async def follow_operation(call: Call[Strict, None]) -> Response:
    """Follow an operation as server-sent events, until it has ended."""
    _expect_operator(call)
    operation = call.services.operations.get(call.names["operation_id"])
    return event_stream.streamed(_blocks(call, operation))


async def get_file(call: Call[Strict, None]) -> Response:
    """Return a file that an operation wrote; a slash in its name is sent as %2f."""
    _expect_operator(call)
    file = call.services.operations.file(call.names["operation_id"], call.names["name"])
    return FileResponse(file, media_type=_OCTETS, filename=file.name)


async def forget_files(call: Call[Strict, None]) -> Operation:
    """Delete the files of an operation that has ended."""
    _expect_operator(call)
    return await call.services.operations.forget_files(call.names["operation_id"])


async def _blocks(call: Call[Any, None], operation: Operation) -> AsyncIterator[bytes]:
    async def states() -> AsyncIterator[bytes]:
        changed = call.services.operations.changed
        while True:
            yield operation.model_dump_json().encode("utf-8")
            if operation.state != "running":
                return
            async with changed:
                try:
                    async with asyncio.timeout(call.services.limits.ping_seconds):
                        await changed.wait()
                except TimeoutError:
                    continue

    try:
        async for state in event_stream.until_stopped(states(), call.services.stopping):
            yield b"event: operation\n" + event_stream.data(state)
    except event_stream.ServerStops:
        return
    yield b"event: end\ndata: {}\n\n"


def _named(call: Call[Any, Any]) -> str | None:
    """Return the id of an operation: the same for each repetition with one Idempotency-Key."""
    key = call.headers.get("idempotency-key")
    return None if key is None else derived_id("operation", check_key(key))


def _expect_operator(call: Call[Any, Any]) -> None:
    call.caller.expect_every_organization("an operation")


_route = partial(api_route, scope="operate", errors=(403, 404, 409, 422, 501, 503))


ROUTES: Final = (
    _route("POST", "operations", begin, Operation, body=Begin, status=202),
    _route("GET", "operations", list_operations, list[Operation]),
    _route("GET", "operations/{operation_id}", get_operation, Operation),
    _route("DELETE", "operations/{operation_id}", cancel_operation, Operation, status=202),
    _route(
        "GET",
        "operations/{operation_id}/follow",
        follow_operation,
        None,
        produces=(EVENT_STREAM,),
        stream=True,
    ),
    _route("DELETE", "operations/{operation_id}/files", forget_files, Operation),
    _route("GET", "operations/{operation_id}/files/{name}", get_file, None, produces=(_OCTETS,)),
)
