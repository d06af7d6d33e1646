"""Events in the form in which a ledger exports them, taken into this one as they are."""

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from pydantic import BaseModel

from runledger.importers.event_lines.importer import EventImport
from runledger.server.call import Call, Reply
from runledger.server.route import NDJSON, Route, Strict


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


ROUTES: Final = (
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
