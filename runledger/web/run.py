"""One run: its outcome, where the time went, what was said, its steps, and every event."""

from collections.abc import Sequence
from typing import Annotated, Any, Final

from pydantic import Field
from starlette.responses import Response

from runledger.errors import NotFound
from runledger.images import blob_sources
from runledger.ledger.part import LedgerPart
from runledger.records import RunRecord, StepView
from runledger.server.call import Call
from runledger.server.refusal import Refusal
from runledger.store.protocol import StoredEvent
from runledger.web.address import Address
from runledger.web.buckets import BUCKETS, bucket_bar
from runledger.web.conversation import conversation
from runledger.web.run_events import shown_events
from runledger.web.run_search import AsOfNow
from runledger.web.timeline import band, bars, length, placed, ticks
from runledger.web.view import View

ALL_ROWS: Final = 300
PAGE: Final = 200
_PICTURES: Final = ("image/png", "image/jpeg", "image/gif", "image/webp")
Number = Annotated[int, Field(ge=1, le=10_000_000)]


class RunView(AsOfNow):
    """`steps` and `events` are pages of a long run; after `event` the run is shown as it was."""

    steps: Number = 1
    events: Number = 1
    event: Number | None = None


async def show(call: Call[RunView, None]) -> View:
    """Return one run."""
    run_id, past = call.names["run_id"], call.query.past()
    last, stored = await _events(call)
    if call.query.event is not None:
        past = {"as_of": last.position}
    run = await call.ledger.get_run_by_id(run_id, **past, actor=call.actor)
    steps = await call.ledger.get_run_steps(run_id, **past, actor=call.actor)
    callback = await call.ledger.get_callback(run_id, **past, actor=call.actor)
    every = [row for row in stored if row.position <= last.position]
    first = (call.query.events - 1) * PAGE
    page = every[first : first + PAGE]
    # Bodies are read of the page alone: those of a long run are larger than all of its numbers.
    opened = call.ledger.part(LedgerPart).opened
    bodies = await opened.events(run_id, past.get("as_of"), contents=True) if page else []
    said = conversation(bodies[first : first + PAGE])
    events = shown_events(page, first, run.created_at)
    return View(
        "run.html",
        f"Run {run_id}",
        {
            "run": run,
            "steps": _page(steps, call.query.steps),
            "events": events,
            "callback": callback._asdict(),
        },
        {
            "said": said,
            "last": last,
            "all_events": len(stored),
            "known_events": len(every),
            "all_steps": len(steps),
            "buckets": BUCKETS,
            "bar": bucket_bar(run.model_dump(), 120),
            "step_bars": {step.step_id: bucket_bar(step.model_dump()) for step in steps[:PAGE]},
            **_timeline(run, steps, every, call.query.steps),
            **_pages(call, len(steps), len(every)),
            "can_write": "runs:write" in call.caller.scopes,
            "query": call.query,
        },
    )


async def image(call: Call[AsOfNow, None]) -> Response:
    """Return an image of one of the run's messages; what could hold a script is a download."""
    run_id, digest = call.names["run_id"], call.names["sha256"]
    messages = await call.ledger.get_stored_messages(run_id, actor=call.actor)
    kinds = {source.sha256: source.media_type for one in messages for source in blob_sources(one)}
    if digest not in kinds:
        raise NotFound("blob", digest)
    data = call.ledger.image_bytes(digest)
    picture = kinds[digest] in _PICTURES
    kind = kinds[digest] if picture else "application/octet-stream"
    headers = {} if picture else {"Content-Disposition": "attachment"}
    return Response(data, headers=headers, media_type=kind)


async def _events(call: Call[RunView, None]) -> tuple[StoredEvent, list[StoredEvent]]:
    """Return the event that the view shows the run after, and all events that are known then."""
    run_id = call.names["run_id"]
    # Whose run it is is checked before its stream is read.
    await call.ledger.get_run_by_id(run_id, **call.query.past(), actor=call.actor)
    opened = call.ledger.part(LedgerPart).opened
    stored = await opened.events(run_id, call.query.past().get("as_of"))
    number = call.query.event
    if number is None:
        return stored[-1], stored
    if number > len(stored):
        raise Refusal(404, f"the run has {len(stored)} events, and no event {number}")
    return stored[number - 1], stored


def _timeline(
    run: RunRecord, steps: Sequence[StepView], events: Sequence[StoredEvent], page: int
) -> dict[str, Any]:
    rows = bars(run, steps, events)
    whole = length(run, rows)
    long = len(rows) > ALL_ROWS
    shown = placed(rows, whole)
    if long:
        begin, end = (page - 1) * PAGE + 1, page * PAGE
        inside, kept = False, []
        for row in shown:
            if row.number is not None:
                inside = begin <= row.number <= end
            if inside:
                kept.append(row)
        shown = kept
    return {
        "timeline": shown,
        "whole": whole,
        "ticks": ticks(whole),
        "band": band(rows, whole) if long else [],
        "tool_calls": sum(row.kind == "tool" for row in rows),
    }


def _page(items: Sequence[StepView], page: int) -> list[StepView]:
    return list(items[(page - 1) * PAGE : page * PAGE])


def _pages(call: Call[RunView, None], steps: int, events: int) -> dict[str, Any]:
    here = Address.of("runs", call.names["run_id"]).having(
        **call.query.model_dump(exclude_defaults=True)
    )

    def beside(name: str, number: int, count: int) -> tuple[Address | None, Address | None]:
        before = here.having(**{name: number - 1 if number > 2 else None}) if number > 1 else None
        return before, here.having(**{name: number + 1}) if number * PAGE < count else None

    return {
        "page_size": PAGE,
        "steps_beside": beside("steps", call.query.steps, steps),
        "events_beside": beside("events", call.query.events, events),
        "step_page": lambda number: here.having(steps=(number - 1) // PAGE + 1 or None),
        "event_page": lambda number: here.having(event=number),
        "run_path": Address.of("runs", call.names["run_id"]),
    }
