"""The questions of a remote ledger: single runs, lists and totals."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeVar, Unpack

from pydantic import AfterValidator, BaseModel, TypeAdapter

from projections.generations.as_of import AsOfMoment
from projections.queries.callbacks import CallbackStatus
from projections.queries.run_filter import RunConditions, RunFilters, SortKey, run_filter
from projections.queries.step_filter import StepFilters
from runledger.events import CallbackAttempted
from runledger.ids import check_id
from runledger.messages import Message
from runledger.records import (
    AgentRow,
    Callback,
    CallbackRow,
    DurationPercentiles,
    Records,
    RunDurations,
    RunMetrics,
    RunRecord,
    RunUsage,
    StepView,
    UsageTotal,
)
from runledger.remote.answers import RUN_IDS
from runledger.remote.part import RUN, RemotePart, agent_path, moment, run_path
from runledger.run import Actor
from runledger.run.delivery import Delivery
from runledger.run.parties import Agent
from runledger.run_query import RunQuery

if TYPE_CHECKING:
    from runledger.api_messages import ApiMessage

Order = Literal["asc", "desc"]
_T = TypeVar("_T")


class _Callback(BaseModel):
    run_id: str
    url: str | None
    owed: Delivery | None
    attempts: list[CallbackAttempted]


class _Config(BaseModel):
    request_config: dict[str, Any] | None


_SHOWN: Final = AfterValidator(Records)
_USAGE: Final = TypeAdapter(RunUsage)
_METRICS: Final = TypeAdapter(RunMetrics)
_CONFIG: Final = TypeAdapter(_Config)
_STEP: Final = TypeAdapter(StepView)
_STEPS: Final[TypeAdapter[list[StepView]]] = TypeAdapter(Annotated[list[StepView], _SHOWN])
_RUNS: Final[TypeAdapter[list[RunRecord]]] = TypeAdapter(Annotated[list[RunRecord], _SHOWN])
_STORED: Final = TypeAdapter(list[Message])
_AGENT: Final = TypeAdapter(Agent)
_CALLBACK: Final = TypeAdapter(_Callback)
_DURATIONS: Final = TypeAdapter(RunDurations)
_TOTALS: Final[TypeAdapter[list[UsageTotal]]] = TypeAdapter(Annotated[list[UsageTotal], _SHOWN])
_PERCENTILES: Final[TypeAdapter[list[DurationPercentiles]]] = TypeAdapter(
    Annotated[list[DurationPercentiles], _SHOWN]
)
_AGENTS: Final[TypeAdapter[list[AgentRow]]] = TypeAdapter(Annotated[list[AgentRow], _SHOWN])
_CALLBACKS: Final[TypeAdapter[list[CallbackRow]]] = TypeAdapter(
    Annotated[list[CallbackRow], _SHOWN]
)


class RemoteQuestions(RemotePart):
    """The methods of runledger.ledger.run_queries, list_queries and callbacks; see there."""

    async def get_run_by_id(
        self, run_id: str, *, as_of: AsOfMoment | None = None, actor: Actor | None = None
    ) -> RunRecord:
        """Return the run."""
        return await self._connection.ask(run_path(run_id), RUN, as_of=moment(as_of), actor=actor)

    async def get_run_with_status(self, run_id: str, *, actor: Actor | None = None) -> RunRecord:
        """Return the run, after the server has asked the engine that executes it."""
        return await self._connection.ask(run_path(run_id), RUN, ask_engine=True, actor=actor)

    async def get_run_usage(
        self, run_id: str, *, as_of: AsOfMoment | None = None, actor: Actor | None = None
    ) -> RunUsage:
        """Return the token totals over all steps of the run."""
        return await self._connection.ask(
            run_path(run_id, "/usage"), _USAGE, as_of=moment(as_of), actor=actor
        )

    async def get_run_metrics(
        self, run_id: str, *, as_of: AsOfMoment | None = None, actor: Actor | None = None
    ) -> RunMetrics:
        """Return the duration, the number of steps and the tools of the run."""
        path = run_path(run_id, "/metrics")
        return await self._connection.ask(path, _METRICS, as_of=moment(as_of), actor=actor)

    async def get_run_request_config(
        self, run_id: str, *, as_of: AsOfMoment | None = None, actor: Actor | None = None
    ) -> dict[str, Any] | None:
        """Return the request's configuration as it was given at creation."""
        path = run_path(run_id, "/request_config")
        return (
            await self._connection.ask(path, _CONFIG, as_of=moment(as_of), actor=actor)
        ).request_config

    async def get_run_steps(
        self,
        run_id: str,
        *,
        order: Order = "asc",
        limit: int | None = None,
        after: str | None = None,
        before: str | None = None,
        as_of: AsOfMoment | None = None,
        actor: Actor | None = None,
    ) -> list[StepView]:
        """Return the steps in the order they were recorded, a page of them if asked."""
        return await self._connection.ask(
            run_path(run_id, "/steps"),
            _STEPS,
            order=order,
            limit=limit,
            after=after,
            before=before,
            as_of=moment(as_of),
            actor=actor,
        )

    async def get_stored_messages(
        self, run_id: str, *, as_of: AsOfMoment | None = None, actor: Actor | None = None
    ) -> list[Message]:
        """Return all messages of the run as they are stored, in order."""
        return await self._connection.ask(
            run_path(run_id, "/messages"), _STORED, form="stored", as_of=moment(as_of), actor=actor
        )

    async def get_run_messages(
        self,
        run_id: str,
        *,
        order: Order = "asc",
        limit: int | None = 100,
        after: str | None = None,
        before: str | None = None,
        step_id: str | None = None,
        include_return_message_types: Collection[str] | None = None,
        as_of: AsOfMoment | None = None,
        actor: Actor | None = None,
    ) -> "list[ApiMessage]":
        """Return a page of what the API shows of the run's messages; images with their bytes."""
        from runledger.api_messages import ApiMessage

        types = include_return_message_types
        answer: TypeAdapter[list[ApiMessage]] = TypeAdapter(list[ApiMessage])
        return await self._connection.ask(
            run_path(run_id, "/messages"),
            answer,
            order=order,
            limit=limit,
            after=after,
            before=before,
            step_id=step_id,
            include_return_message_types=None if types is None else list(types),
            as_of=moment(as_of),
            actor=actor,
        )

    async def get_agent(
        self, agent_id: str, *, as_of: AsOfMoment | None = None, actor: Actor | None = None
    ) -> Agent:
        """Return a registered agent."""
        return await self._connection.ask(
            agent_path(agent_id), _AGENT, as_of=moment(as_of), actor=actor
        )

    async def get_step(
        self, step_id: str, *, as_of: AsOfMoment | None = None, actor: Actor | None = None
    ) -> StepView:
        """Return a step of any run by its id."""
        path = f"steps/{check_id('step', step_id)}"
        return await self._connection.ask(path, _STEP, as_of=moment(as_of), actor=actor)

    async def list_runs(
        self,
        *,
        as_of: AsOfMoment | None = None,
        actor: Actor | None = None,
        **filters: Unpack[RunFilters],
    ) -> list[RunRecord]:
        """Return a page of runs, the newest first unless asked otherwise."""
        return await self._search("runs/search", _RUNS, filters, as_of, actor)

    def runs(
        self,
        *,
        order_by: SortKey = "created_at",
        ascending: bool = False,
        costs: bool = False,
        as_of: AsOfMoment | None = None,
        actor: Actor | None = None,
        **filters: Unpack[RunConditions],
    ) -> RunQuery:
        """Return a query about runs that is asked later: a page, each run, or all as a table."""
        run_filter("runs", order_by=order_by, ascending=ascending, costs=costs, **filters)
        order = {"order_by": order_by, "ascending": ascending, "costs": costs}
        return RunQuery(self.list_runs, {**filters, **order, "as_of": as_of, "actor": actor})

    async def run_durations(
        self,
        *,
        as_of: AsOfMoment | None = None,
        actor: Actor | None = None,
        **filters: Unpack[RunConditions],
    ) -> RunDurations:
        """Return count, p50, p90, p95 and p99 (ns) of exactly the runs that the filters leave."""
        return await self._search("runs/durations", _DURATIONS, filters, as_of, actor)

    async def list_steps(
        self,
        *,
        as_of: AsOfMoment | None = None,
        actor: Actor | None = None,
        **filters: Unpack[StepFilters],
    ) -> list[StepView]:
        """Return a page of steps of any runs, those recorded last first unless asked otherwise."""
        return await self._search("steps/search", _STEPS, filters, as_of, actor)

    async def usage_totals(
        self,
        *,
        by: Sequence[str] = ("model",),
        project_id: str | None = None,
        agent_id: str | None = None,
        model: str | None = None,
        since: date | None = None,
        until: date | None = None,
        where: str | None = None,
        as_of: AsOfMoment | None = None,
        actor: Actor | None = None,
    ) -> list[UsageTotal]:
        """Return token totals grouped by any of project, agent, model and day (UTC)."""
        return await self._connection.ask(
            "usage",
            _TOTALS,
            by=by,
            project_id=project_id,
            agent_id=agent_id,
            model=model,
            since=since,
            until=until,
            where=where,
            as_of=moment(as_of),
            actor=actor,
        )

    async def duration_percentiles(
        self,
        *,
        by: Sequence[str] = (),
        project_id: str | None = None,
        agent_id: str | None = None,
        since: date | None = None,
        until: date | None = None,
        where: str | None = None,
        as_of: AsOfMoment | None = None,
        actor: Actor | None = None,
    ) -> list[DurationPercentiles]:
        """Return exact duration percentiles (ns) grouped by any of project, agent and day (UTC)."""
        return await self._connection.ask(
            "percentiles",
            _PERCENTILES,
            by=by,
            project_id=project_id,
            agent_id=agent_id,
            since=since,
            until=until,
            where=where,
            as_of=moment(as_of),
            actor=actor,
        )

    async def list_agents(
        self,
        *,
        agent_id: str | None = None,
        as_of: AsOfMoment | None = None,
        actor: Actor | None = None,
    ) -> list[AgentRow]:
        """Return the agents, with their last run and last stop reason."""
        past = moment(as_of)
        return await self._connection.ask(
            "agents", _AGENTS, agent_id=agent_id, as_of=past, actor=actor
        )

    async def get_callback(
        self, run_id: str, *, as_of: AsOfMoment | None = None, actor: Actor | None = None
    ) -> Callback:
        """Return what is owed for a run and the attempts, from its stream."""
        path = run_path(run_id, "/callback")
        found = await self._connection.ask(path, _CALLBACK, as_of=moment(as_of), actor=actor)
        return Callback(found.run_id, found.url, found.owed, found.attempts)

    async def list_callbacks(
        self,
        *,
        statuses: Iterable[CallbackStatus] = (),
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = 100,
        as_of: AsOfMoment | None = None,
        actor: Actor | None = None,
    ) -> list[CallbackRow]:
        """Return rows of the read model `callbacks`, those asked for last first."""
        return await self._connection.ask(
            "callbacks",
            _CALLBACKS,
            statuses=list(statuses),
            since=since,
            until=until,
            limit=limit,
            as_of=moment(as_of),
            actor=actor,
        )

    async def redeliver_callbacks(
        self,
        *,
        statuses: Iterable[CallbackStatus] = (),
        since: datetime | None = None,
        until: datetime | None = None,
        actor: Actor | None = None,
    ) -> list[str]:
        """Ask for all callbacks of a range to be sent again; return the ids of their runs."""
        body = {"statuses": list(statuses), "since": since, "until": until}
        asked = {name: value for name, value in body.items() if value is not None}
        found = await self._connection.command(
            "POST", "callbacks/redeliver", RUN_IDS, asked, actor=actor
        )
        return found.run_ids

    async def _search(
        self,
        path: str,
        answer: TypeAdapter[_T],
        filters: Mapping[str, Any],
        as_of: AsOfMoment | None,
        actor: Actor | None,
    ) -> _T:
        body: dict[str, Any] = {"filters": dict(filters)}
        if as_of is not None:
            body["as_of"] = moment(as_of)
        return await self._connection.search(path, answer, body, actor=actor)
