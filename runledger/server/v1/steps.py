"""Steps as the official client asks for them: of one run, over all runs, one, its times."""

from typing import Any, Final

from runledger.compat.records import step_metrics_of, step_of
from runledger.compat.schemas import Step, StepMetrics
from runledger.events import Feedback
from runledger.ids import check_id
from runledger.parameters import moment
from runledger.server.call import Call
from runledger.server.route import Lenient, Route
from runledger.server.v1.parameters import Page

StepCall = Call[Lenient, None]


class StepList(Page):
    """`trace_ids` and `tags` leave the steps that have any of them; `end_date` is exclusive."""

    agent_id: str | None = None
    model: str | None = None
    project_id: str | None = None
    trace_ids: list[str] | None = None
    tags: list[str] | None = None
    feedback: Feedback | None = None
    has_feedback: bool | None = None
    start_date: str | None = None
    end_date: str | None = None


class Judgement(Lenient):
    """A person's judgement of a step; null takes an earlier one back, `tags` replace the step's."""

    feedback: Feedback | None = None
    tags: list[str] | None = None


async def list_run_steps(call: Call[Page, None]) -> list[Step]:
    """List the steps of a run, those recorded last first unless asked otherwise."""
    asked = call.query
    asked.expect_one_cursor()
    _check_cursors(asked)
    views = await call.ledger.get_run_steps(
        call.names["run_id"],
        order=asked.order,
        limit=asked.limit,
        after=asked.after,
        before=asked.before,
        actor=call.actor,
    )
    return [step_of(view) for view in views]


async def list_steps(call: Call[StepList, None]) -> list[Step]:
    """List steps over all runs, those recorded last first unless asked otherwise."""
    asked = call.query
    asked.expect_one_cursor()
    _check_cursors(asked)
    filters: dict[str, Any] = asked.model_dump(exclude={"order_by", "start_date", "end_date"})
    for name, text in (("start_date", asked.start_date), ("end_date", asked.end_date)):
        filters[name] = None if text is None else moment(text)
    return [step_of(view) for view in await call.ledger.list_steps(actor=call.actor, **filters)]


async def get_step(call: StepCall) -> Step:
    """Return a step."""
    return step_of(await call.ledger.get_step(call.names["step_id"], actor=call.actor))


async def get_metrics(call: StepCall) -> StepMetrics:
    """Return the times of a step."""
    return step_metrics_of(await call.ledger.get_step(call.names["step_id"], actor=call.actor))


async def get_trace(call: StepCall) -> None:
    """Return null: the provider's own request and answer are not kept."""
    await call.ledger.get_step(call.names["step_id"], actor=call.actor)


async def give_feedback(call: Call[Lenient, Judgement]) -> Step:
    """Record a person's judgement of a step that has ended; return the step."""
    judged = await call.ledger.record_step_feedback(
        call.names["step_id"], call.body.feedback, tags=call.body.tags, actor=call.actor
    )
    return step_of(judged)


def _check_cursors(asked: Page) -> None:
    for cursor in (asked.after, asked.before):
        if cursor is not None:
            check_id("step", cursor)


def _one(path: str, name: str, handler: Any, answer: Any) -> Route:
    return Route("GET", path, name, handler, answer=answer, errors=(400, 404, 501))


ROUTES: Final = (
    Route(
        "GET",
        "/v1/runs/{run_id}/steps",
        "runs_steps_list",
        list_run_steps,
        query=Page,
        answer=list[Step],
        errors=(400, 404, 422),
    ),
    Route(
        "GET",
        "/v1/steps/",
        "steps_list",
        list_steps,
        query=StepList,
        answer=list[Step],
        errors=(400, 404, 422, 501),
    ),
    _one("/v1/steps/{step_id}", "steps_retrieve", get_step, Step),
    _one("/v1/steps/{step_id}/metrics", "steps_metrics_retrieve", get_metrics, StepMetrics),
    _one("/v1/steps/{step_id}/trace", "steps_trace_retrieve", get_trace, None),
    Route(
        "PATCH",
        "/v1/steps/{step_id}/feedback",
        "steps_feedback_create",
        give_feedback,
        scope="runs:write",
        body=Judgement,
        answer=Step,
        errors=(400, 403, 404, 409, 422, 501),
    ),
)
