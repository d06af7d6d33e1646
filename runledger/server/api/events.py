"""Events in the form in which a ledger exports them: given as lines, and taken in as they are."""

import asyncio
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Final

from pydantic import BaseModel, Field
from starlette.responses import Response, StreamingResponse

from runledger.importers.event_lines.exporter import export_lines
from runledger.importers.event_lines.importer import EventImport
from runledger.server.call import Call, Reply
from runledger.server.route import NDJSON, Route, Strict

_PIECE: Final = 256 << 10


class Export(Strict):
    """`after` is a position of the log: only later events are exported."""

    after: Annotated[int, Field(ge=0, lt=2**63)] = 0


class RefusedLine(BaseModel):
    """A line that was not taken, and the reason."""

    place: str
    reason: str


class Taken(BaseModel):
    """How many events were recorded, were there already, and were refused; refusals by line."""

    recorded: int
    unchanged: int
    refused: int
    refusals: list[RefusedLine]


async def import_events(call: Call[Strict, bytes]) -> Reply:
    """Record exported events, each once; 422 if a line was refused, the others are recorded."""
    call.caller.expect_every_organization("an import of events")
    ledger = call.ledger
    with TemporaryDirectory(prefix="runledger-events-") as folder:
        file = Path(folder) / "events.jsonl"
        await asyncio.to_thread(file.write_bytes, call.body or b"")
        report = await EventImport(ledger.store, ledger.handler).run([file])
    # The file is the server's own; the caller knows its lines.
    refusals = [
        RefusedLine(place=one.place.removeprefix(f"{file}: "), reason=one.reason)
        for one in report.refusals
    ]
    taken = Taken(
        recorded=report.recorded,
        unchanged=report.unchanged,
        refused=report.refused,
        refusals=refusals,
    )
    return Reply(taken, 422 if report.refused else 200)


async def export_events(call: Call[Export, None]) -> Response:
    """Export the events of all organizations as lines, in the order of the log."""
    call.caller.expect_every_organization("an export of events")
    store = call.ledger.store
    lines = await asyncio.to_thread(export_lines, store, after=call.query.after)
    # The first piece is made before the status is sent: what is refused is refused with its words.
    pieces = _pieces(lines)
    first = await asyncio.to_thread(next, pieces, b"")
    return StreamingResponse(chain((first,), pieces), media_type=NDJSON)


def _pieces(lines: Iterator[bytes]) -> Iterator[bytes]:
    """Yield many lines at once: each piece is a change of threads."""
    piece = bytearray()
    for line in lines:
        piece += line
        if len(piece) >= _PIECE:
            yield bytes(piece)
            piece.clear()
    yield bytes(piece)


ROUTES: Final = (
    Route(
        "GET",
        "/api/v1/events",
        "api_export_events",
        export_events,
        scope="operate",
        query=Export,
        answer=None,
        produces=(NDJSON,),
        errors=(403, 422, 503),
        summary="Export events as lines.",
    ),
    Route(
        "POST",
        "/api/v1/events",
        "api_import_events",
        import_events,
        scope="operate",
        query=Strict,
        takes=(NDJSON,),
        raw=True,
        gzip=True,
        batch=True,
        answer=Taken,
        errors=(403, 408, 413, 415, 422, 503),
        answering=(422,),
        summary="Record events that a ledger exported.",
    ),
)
