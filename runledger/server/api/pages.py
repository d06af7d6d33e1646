"""Lists a page at a time: every filter as a parameter, and always where the next page is."""

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any, Final, Generic, Literal, TypeVar
from urllib.parse import urlencode

from pydantic import BaseModel, Field

from projections.generations.as_of import position_of
from projections.queries.run_filter import SortKey
from runledger import parameters
from runledger.errors import InvalidArgument
from runledger.events import Feedback, StopReason
from runledger.ledger.named_view import condition
from runledger.records import RunRecord, StepView
from runledger.server.api.api_route import api_route
from runledger.server.api.single_runs import AsOf
from runledger.server.call import Call, Reply
from runledger.server.refusal import Refusal
from runledger.server.tables import TABLES

MOST: Final = 1_000
_WAIT_SECONDS: Final = 5.0
_OPERATORS: Final = ("eq", "gt", "gte", "lt", "lte")
_T = TypeVar("_T")


class Page(BaseModel, Generic[_T]):
    """`next` is the address of the next page, null if there is none; there is never a total.

    `position` is one that the answer has at least.
    """

    data: list[_T]
    next: str | None
    position: int


class Paged(AsOf):
    """`min_position` is a position of the log, of an earlier answer, that this one must have."""

    limit: Annotated[int, Field(ge=1, le=MOST)] = 50
    after: str | None = None
    before: str | None = None
    min_position: Annotated[int, Field(ge=0)] | None = None


class RunPage(Paged):
    """The filters of RunLedger.list_runs; `duration` is `gte:30s`, `step_count` is `gte:3`.

    `where` is a condition in the filter language, `view` the name of a saved one.
    """

    where: str | None = None
    view: str | None = None
    run_id: str | None = None
    agent_id: str | None = None
    agent_ids: list[str] | None = None
    statuses: list[str] | None = None
    stop_reason: StopReason | None = None
    feedback: Feedback | None = None
    background: bool | None = None
    template_family: str | None = None
    project_id: str | None = None
    conversation_id: str | None = None
    step_count: str | None = None
    tools_used: list[str] | None = None
    duration: str | None = None
    duration_percentile: Annotated[float, Field(ge=0, le=100)] | None = None
    start_date: str | None = None
    end_date: str | None = None
    order_by: SortKey = "created_at"
    ascending: bool = False
    costs: bool = False


class StepPage(Paged):
    """The filters of RunLedger.list_steps."""

    run_id: str | None = None
    agent_id: str | None = None
    model: str | None = None
    project_id: str | None = None
    trace_ids: list[str] | None = None
    tags: list[str] | None = None
    feedback: Feedback | None = None
    has_feedback: bool | None = None
    start_date: str | None = None
    end_date: str | None = None
    order: Literal["asc", "desc"] = "desc"


async def list_runs(call: Call[RunPage, None]) -> Reply:
    """List runs, the newest first unless asked otherwise."""
    asked = call.query
    filters = _given(asked)
    if (view := filters.pop("view", None)) is not None:
        filters["where"] = await condition(call.ledger, view, asked.where, call.actor)
    for name, read in (
        ("start_date", parameters.moment),
        ("end_date", parameters.last_moment),
    ):
        if name in filters:
            filters[name] = read(filters[name])
    if "step_count" in filters:
        filters["step_count_operator"], count = _compared(filters["step_count"], "eq")
        filters["step_count"] = _whole("step_count", count)
    if "duration" in filters:
        operator, text = _compared(filters.pop("duration"), "gt")
        value = parameters.nanoseconds(text)
        filters["duration_filter"] = {"value": value, "operator": operator}

    async def page(limit: int) -> Sequence[RunRecord]:
        return await call.ledger.list_runs(**filters, limit=limit, **asked.past(), actor=call.actor)

    return await _page(call, Page[RunRecord], page, lambda run: run.run_id)


async def list_steps(call: Call[StepPage, None]) -> Reply:
    """List steps of any runs, those recorded last first unless asked otherwise."""
    asked = call.query
    filters = _given(asked)
    for name in ("start_date", "end_date"):
        if name in filters:
            filters[name] = parameters.moment(filters[name])

    async def page(limit: int) -> Sequence[StepView]:
        return await call.ledger.list_steps(
            **filters, limit=limit, **asked.past(), actor=call.actor
        )

    return await _page(call, Page[StepView], page, lambda step: step.step_id)


async def _page(
    call: Call[Any, None],
    kind: type[Page[Any]],
    page: Callable[[int], Any],
    id_of: Callable[[Any], str],
) -> Reply:
    asked: Paged = call.query
    position = await _position(call, asked)
    # One more than the page has, if that may be asked for, says whether there is a next one.
    items = await page(min(asked.limit + 1, MOST))
    backwards = asked.before is not None
    more = len(items) > asked.limit or len(items) == MOST
    kept = items[-asked.limit :] if backwards else items[: asked.limit]
    following = None
    if more and kept:
        cursor = {"before": id_of(kept[0])} if backwards else {"after": id_of(kept[-1])}
        following = f"{call.path}?{urlencode({**_set(asked), **cursor}, doseq=True)}"
    headers = {"Runledger-Position": str(position)}
    if following is not None:
        headers["Link"] = f'<{following}>; rel="next"'
    page_of = kind(data=kept, next=following, position=position)
    return Reply(page_of, headers=headers, rows=kept)


async def _position(call: Call[Any, None], asked: Paged) -> int:
    """Return a position that the answer has at least: of the past, exactly that one."""
    deadline = time.monotonic() + _WAIT_SECONDS
    while (found := await _answered(call)) < (asked.min_position or 0):
        if time.monotonic() > deadline:
            raise Refusal(
                503, f"min_position: expected to reach {asked.min_position}, found {found}"
            )
        await asyncio.sleep(0.05)
    if asked.as_of is None:
        return found
    moment = asked.past()["as_of"]
    return await asyncio.to_thread(position_of, call.ledger.store, moment)


async def _answered(call: Call[Any, None]) -> int:
    """Return the end of the log, which live read models reach before they answer, or the copy's."""
    read_models = call.ledger.read_models
    if read_models.follows:
        return await call.services.head()
    return await asyncio.to_thread(lambda: read_models.position)


def _given(asked: Paged) -> dict[str, Any]:
    beside = {"as_of", "limit", "min_position"}
    return {name: getattr(asked, name) for name in asked.model_fields_set - beside}


def _set(asked: Paged) -> dict[str, Any]:
    given = {name: getattr(asked, name) for name in asked.model_fields_set}
    return {
        name: str(value).lower() if isinstance(value, bool) else value
        for name, value in given.items()
        if value is not None and name not in ("after", "before", "min_position")
    }


def _compared(text: str, default: str) -> tuple[str, str]:
    operator, mark, value = text.partition(":")
    if not mark:
        return default, text
    if operator not in _OPERATORS:
        raise InvalidArgument(f"expected one of {', '.join(_OPERATORS)}, found {operator!r:.40}")
    return operator, value


def _whole(name: str, text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        raise InvalidArgument(f"{name}: expected a whole number, found {text!r:.40}")
    return int(text)


_route = partial(api_route, "GET", produces=TABLES, errors=(400, 404, 422, 501, 503))


ROUTES: Final = (
    _route("runs", list_runs, Page[RunRecord], query=RunPage, rows=RunRecord),
    _route("steps", list_steps, Page[StepView], query=StepPage, rows=StepView),
)
