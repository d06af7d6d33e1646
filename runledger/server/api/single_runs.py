"""Questions about one run, and about one agent: always current, also without read models."""

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, Field

from runledger.api_messages import ApiMessage
from runledger.events import CallbackAttempted
from runledger.messages import Message
from runledger.parameters import position_or_moment
from runledger.records import RunMetrics, RunRecord, RunUsage, StepView
from runledger.run.delivery import Delivery
from runledger.run.parties import Agent
from runledger.server.api.api_route import api_route
from runledger.server.call import Call, Reply
from runledger.server.refusal import Refusal
from runledger.server.route import Route, Strict

_ERRORS: Final = (400, 404, 422, 501, 503)


class AsOf(Strict):
    """`as_of` is a position of the log or a time (RFC 3339): the answer is as it was then."""

    as_of: str | None = None

    def past(self) -> dict[str, Any]:
        """Return the argument of the ledger's methods."""
        return {} if self.as_of is None else {"as_of": position_or_moment(self.as_of)}


class OneRun(AsOf):
    """With `ask_engine`, the engine that executes the run is asked about it first."""

    ask_engine: bool = False


class RunPage(AsOf):
    """A page of what one run has; without a `limit`, all of it."""

    order: Literal["asc", "desc"] = "asc"
    limit: Annotated[int, Field(ge=1)] | None = None
    after: str | None = None
    before: str | None = None


class MessagePage(RunPage):
    """`form` is what the official client shows (`api`) or messages as they are stored (`stored`),
    which come all at once."""

    form: Literal["api", "stored"] = "api"
    step_id: str | None = None
    include_return_message_types: list[str] | None = None


class CallbackState(BaseModel):
    """What is owed for a run, null if nothing is, and every attempt that was made."""

    run_id: str
    url: str | None
    owed: Delivery | None
    attempts: list[CallbackAttempted]


class Config(BaseModel):
    """How the request that a run answers was configured."""

    request_config: dict[str, Any] | None


async def get_run(call: Call[OneRun, None]) -> Reply:
    """Return a run."""
    run_id = call.names["run_id"]
    if call.query.ask_engine:
        run = await call.ledger.get_run_with_status(run_id, actor=call.actor)
    else:
        run = await call.ledger.get_run_by_id(run_id, **call.query.past(), actor=call.actor)
    return Reply(run, headers={"ETag": f'"{run.version}"'})


async def get_run_usage(call: Call[AsOf, None]) -> RunUsage:
    """Return the token totals of a run."""
    return await call.ledger.get_run_usage(**_asked(call))


async def get_run_metrics(call: Call[AsOf, None]) -> RunMetrics:
    """Return duration, number of steps and tools of a run."""
    return await call.ledger.get_run_metrics(**_asked(call))


async def get_run_request_config(call: Call[AsOf, None]) -> Config:
    """Return the configuration of the request that a run answers."""
    return Config(request_config=await call.ledger.get_run_request_config(**_asked(call)))


async def get_run_steps(call: Call[RunPage, None]) -> list[StepView]:
    """Return the steps of a run in the order in which they were recorded."""
    return await call.ledger.get_run_steps(**_asked(call), **_page(call.query, {"as_of"}))


async def get_run_messages(call: Call[MessagePage, None]) -> list[Message] | list[ApiMessage]:
    """Return the messages of a run."""
    if call.query.form == "stored":
        if beside := sorted(call.query.model_fields_set - {"form", "as_of"}):
            raise Refusal(422, f"form=stored: expected nothing beside it, found {beside[0]}")
        return await call.ledger.get_stored_messages(**_asked(call))
    page = _page(call.query, {"as_of", "form"})
    return await call.ledger.get_run_messages(**_asked(call), **page)


async def get_callback(call: Call[AsOf, None]) -> CallbackState:
    """Return the callback that is owed for a run, and every attempt to deliver it."""
    return CallbackState(**(await call.ledger.get_callback(**_asked(call)))._asdict())


async def get_agent(call: Call[AsOf, None]) -> Agent:
    """Return a registered agent."""
    return await call.ledger.get_agent(**_asked(call))


async def get_step(call: Call[AsOf, None]) -> StepView:
    """Return a step of any run."""
    return await call.ledger.get_step(**_asked(call))


def _asked(call: Call[Any, None]) -> dict[str, Any]:
    return {**call.names, **call.query.past(), "actor": call.actor}


def _page(query: BaseModel, beside: set[str]) -> dict[str, Any]:
    return {name: getattr(query, name) for name in query.model_fields_set - beside}


def _route(path: str, handler: Any, answer: Any, query: type[BaseModel] = AsOf) -> Route:
    return api_route("GET", path, handler, answer, query=query, errors=_ERRORS)


ROUTES: Final = (
    _route("runs/{run_id}", get_run, RunRecord, OneRun),
    _route("runs/{run_id}/usage", get_run_usage, RunUsage),
    _route("runs/{run_id}/metrics", get_run_metrics, RunMetrics),
    _route("runs/{run_id}/request_config", get_run_request_config, Config),
    _route("runs/{run_id}/steps", get_run_steps, list[StepView], RunPage),
    _route(
        "runs/{run_id}/messages",
        get_run_messages,
        list[Message] | list[ApiMessage],
        MessagePage,
    ),
    _route("runs/{run_id}/callback", get_callback, CallbackState),
    _route("agents/{agent_id}", get_agent, Agent),
    _route("steps/{step_id}", get_step, StepView),
)
