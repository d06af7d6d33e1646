"""Lists and totals over runs, from the read models, which catch up before they answer."""

from datetime import date, datetime
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import AwareDatetime, BaseModel, Field

from projections.queries.callbacks import CallbackStatus
from runledger.errors import InvalidArgument
from runledger.ledger.named_view import condition
from runledger.parameters import position_or_moment
from runledger.records import (
    AgentRow,
    CallbackRow,
    DurationPercentiles,
    RunDurations,
    RunRecord,
    StepView,
    UsageTotal,
)
from runledger.server.api.api_route import api_route
from runledger.server.api.single_runs import AsOf
from runledger.server.call import Call
from runledger.server.route import JSON, Route, Strict
from runledger.server.tables import TABLES

_ERRORS: Final = (400, 404, 422, 501, 503)


class Search(Strict):
    """`filters` are those of the method, by its names; times are texts in RFC 3339."""

    filters: dict[str, Any] = Field(default_factory=dict)
    as_of: str | None = None

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of the ledger's method; InvalidArgument for what is no filter."""
        if beside := self.filters.keys() & {"actor", "as_of"}:
            raise InvalidArgument(f"filters: no such filter: {', '.join(sorted(beside))}")
        given = {name: _time(name, value) for name, value in self.filters.items()}
        return given if self.as_of is None else {**given, "as_of": position_or_moment(self.as_of)}


class Totals(AsOf):
    """Totals grouped `by` some of the columns, of days `since` until `until`, both included.

    `where` is a condition in the filter language, `view` the name of a saved one: only these runs
    count.
    """

    by: list[str] | None = None
    project_id: str | None = None
    agent_id: str | None = None
    since: date | None = None
    until: date | None = None
    where: str | None = None
    view: str | None = None


class UsageTotals(Totals):
    """Totals of tokens; `model` leaves the steps that called it."""

    model: str | None = None


class Agents(AsOf):
    """Agents, or this one."""

    agent_id: str | None = None


class CallbackList(AsOf):
    """Callbacks of runs that ended from `since` until `until`, which is not included."""

    statuses: list[CallbackStatus] = Field(default_factory=list)
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 100


class Redelivery(Strict):
    """Which callbacks are to be sent again."""

    statuses: list[CallbackStatus] = Field(default_factory=list)
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None


class RunIds(BaseModel):
    """The ids of runs."""

    run_ids: list[str]


async def search_runs(call: Call[Strict, Search]) -> list[RunRecord]:
    """Return a page of runs; `after` the last one's id is the next page, until one is empty."""
    return await call.ledger.list_runs(**call.body.arguments(), actor=call.actor)


async def run_durations(call: Call[Strict, Search]) -> RunDurations:
    """Return count and percentiles of the durations of the runs that the filters leave."""
    return await call.ledger.run_durations(**call.body.arguments(), actor=call.actor)


async def search_steps(call: Call[Strict, Search]) -> list[StepView]:
    """Return a page of steps of any runs."""
    return await call.ledger.list_steps(**call.body.arguments(), actor=call.actor)


async def usage_totals(call: Call[UsageTotals, None]) -> list[UsageTotal]:
    """Return token totals in groups."""
    return await call.ledger.usage_totals(**await _totals(call))


async def duration_percentiles(call: Call[Totals, None]) -> list[DurationPercentiles]:
    """Return percentiles of durations in groups."""
    return await call.ledger.duration_percentiles(**await _totals(call))


async def list_agents(call: Call[Agents, None]) -> list[AgentRow]:
    """Return agents with their last run and last stop reason."""
    return await call.ledger.list_agents(**_asked(call))


async def list_callbacks(call: Call[CallbackList, None]) -> list[CallbackRow]:
    """Return callbacks, those asked for last first."""
    return await call.ledger.list_callbacks(**_asked(call))


async def redeliver_callbacks(call: Call[Strict, Redelivery]) -> RunIds:
    """Ask for the callbacks of a range to be sent again."""
    given = {name: getattr(call.body, name) for name in call.body.model_fields_set}
    return RunIds(run_ids=await call.ledger.redeliver_callbacks(**given, actor=call.actor))


def _time(name: str, value: Any) -> Any:
    if name in ("start_date", "end_date") and isinstance(value, str):
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            return value  # The filter says what it expected.
    return value


def _asked(call: Call[Any, None]) -> dict[str, Any]:
    query: AsOf = call.query
    given = {name: getattr(query, name) for name in query.model_fields_set - {"as_of"}}
    return {**given, **query.past(), "actor": call.actor}


async def _totals(call: Call[Any, None]) -> dict[str, Any]:
    asked = _asked(call)
    view = asked.pop("view", None)
    where = await condition(call.ledger, view, call.query.where, call.actor)
    return {**asked, "where": where}


def _route(
    method: Literal["GET", "POST"],
    path: str,
    handler: Any,
    answer: Any,
    *,
    query: type[BaseModel] = Strict,
    body: type[BaseModel] | None = None,
    scope: Literal["runs:read", "runs:write"] = "runs:read",
) -> Route:
    (rows,) = get_args(answer) or (None,)
    return api_route(
        method,
        path,
        handler,
        answer,
        errors=_ERRORS,
        scope=scope,
        query=query,
        body=body,
        rows=rows,
        produces=(JSON,) if rows is None else TABLES,
    )


ROUTES: Final = (
    _route("POST", "runs/search", search_runs, list[RunRecord], body=Search),
    _route("POST", "runs/durations", run_durations, RunDurations, body=Search),
    _route("POST", "steps/search", search_steps, list[StepView], body=Search),
    _route("GET", "usage", usage_totals, list[UsageTotal], query=UsageTotals),
    _route("GET", "percentiles", duration_percentiles, list[DurationPercentiles], query=Totals),
    _route("GET", "agents", list_agents, list[AgentRow], query=Agents),
    _route("GET", "callbacks", list_callbacks, list[CallbackRow], query=CallbackList),
    _route(
        "POST",
        "callbacks/redeliver",
        redeliver_callbacks,
        RunIds,
        body=Redelivery,
        scope="runs:write",
    ),
)
