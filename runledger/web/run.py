"""One run: its outcome, where the time went, what was said, its steps, and every event."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any, Final, NamedTuple

from pydantic import Field
from starlette.responses import Response

from runledger.errors import NotFound
from runledger.images import blob_sources
from runledger.ledger.part import LedgerPart
from runledger.records import Callback, RunRecord, StepView
from runledger.server.call import Call
from runledger.server.refusal import Refusal
from runledger.store.protocol import StoredEvent
from runledger.web.address import Address
from runledger.web.buckets import BUCKETS, bucket_bar
from runledger.web.conversation import conversation
from runledger.web.long_run import long_run
from runledger.web.run_events import shown_events
from runledger.web.run_search import AsOfNow
from runledger.web.timeline import Band, Bar, bars, length, placed, ticks
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


class _Parts(NamedTuple):
    """What a view of a run is made of: a page of steps and one of events, the latter with bodies.

    `known` events are those until the one that the run is shown after, of `all` that there are.
    """

    run: RunRecord
    steps: list[StepView]
    events: list[StoredEvent]
    known: int
    all: int
    all_steps: int
    callback: Callback
    rows: Sequence[Bar]
    band: Sequence[Band]
    whole: int
    tool_calls: int


async def show(call: Call[RunView, None]) -> View:
    """Return one run."""
    run_id, query = call.names["run_id"], call.query
    # Whose run it is is checked before its stream is read.
    run = await call.ledger.get_run_by_id(run_id, **query.past(), actor=call.actor)
    long = max(run.num_steps, run.version // 3) > ALL_ROWS
    present = query.event is None and query.as_of is None
    made = await _long(call, run) if long and present else None
    if made is None:
        made = await _all(call)
    first = (query.events - 1) * PAGE
    return View(
        "run.html",
        f"Run {run_id}",
        {
            "run": made.run,
            "steps": made.steps,
            "events": shown_events(made.events, first, made.run.created_at),
            "callback": made.callback._asdict(),
        },
        {
            "said": conversation(made.events),
            "all_events": made.all,
            "known_events": made.known,
            # A tree is twice the bytes of its text: hundreds of them would make the page slow.
            "long": made.known > PAGE,
            "all_steps": made.all_steps,
            "buckets": BUCKETS,
            "bar": bucket_bar(made.run.model_dump(), 120),
            "step_bars": {step.step_id: bucket_bar(step.model_dump()) for step in made.steps},
            "timeline": placed(made.rows, made.whole),
            "band": made.band,
            "whole": made.whole,
            "ticks": ticks(made.whole),
            "tool_calls": made.tool_calls,
            **_pages(call, made.all_steps, made.known),
            "can_write": "runs:write" in call.caller.scopes,
            "query": query,
        },
    )


async def _long(call: Call[RunView, None], run: RunRecord) -> _Parts | None:
    """Return a page of a run that is too long to be read whole: sums are made in SQL.

    None if the read models are not there, or lack some of its steps, as those of a parked run do.
    """
    opened, query = call.ledger.part(LedgerPart).opened, call.query
    if opened.live is None:
        return None
    found = await opened.ask(lambda q: long_run(q, run, query.steps, PAGE))
    if found.all_steps < run.num_steps:
        return None
    first = (query.events - 1) * PAGE
    events = await asyncio.to_thread(
        opened.store.read_stream, run.run_id, first, first + PAGE, True
    )
    callback = Callback(run.run_id, None, None, [])
    if run.callback_url is not None:
        callback = await call.ledger.get_callback(run.run_id, actor=call.actor)
    return _Parts(
        run,
        found.steps,
        events,
        run.version,
        run.version,
        found.all_steps,
        callback,
        found.rows,
        found.band,
        found.whole,
        found.tool_calls,
    )


async def _all(call: Call[RunView, None]) -> _Parts:
    """Return a run from its own events, as it is or as it was after one of them."""
    run_id, query = call.names["run_id"], call.query
    opened = call.ledger.part(LedgerPart).opened
    stored = await opened.events(run_id, query.past().get("as_of"), contents=True)
    number = len(stored) if query.event is None else query.event
    if number > len(stored):
        raise Refusal(404, f"the run has {len(stored)} events, and no event {number}")
    past = query.past() if query.event is None else {"as_of": stored[number - 1].position}
    run = await call.ledger.get_run_by_id(run_id, **past, actor=call.actor)
    steps = await call.ledger.get_run_steps(run_id, **past, actor=call.actor)
    callback = await call.ledger.get_callback(run_id, **past, actor=call.actor)
    every = stored[:number]
    rows = bars(run, steps, every)
    first = (query.events - 1) * PAGE
    return _Parts(
        run,
        steps[(query.steps - 1) * PAGE : query.steps * PAGE],
        every[first : first + PAGE],
        number,
        len(stored),
        len(steps),
        callback,
        rows if len(rows) <= ALL_ROWS else _rows_of_page(rows, query.steps),
        [],
        length(run, rows),
        sum(row.kind == "tool" for row in rows),
    )


def _rows_of_page(rows: Sequence[Bar], page: int) -> list[Bar]:
    begin, end = (page - 1) * PAGE + 1, page * PAGE
    inside, kept = False, []
    for row in rows:
        if row.number is not None:
            inside = begin <= row.number <= end
        if inside:
            kept.append(row)
    return kept


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
