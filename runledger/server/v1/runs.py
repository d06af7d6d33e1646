"""Runs as the official client asks for them: list, one, its usage, its numbers; delete."""

from typing import Any, Final

from runledger.compat.records import metrics_of, run_of
from runledger.compat.schemas import (
    Run,
    RunMetrics,
    UsageStatistics,
    UsageStatisticsCompletionTokenDetails,
    UsageStatisticsPromptTokenDetails,
)
from runledger.ids import check_id
from runledger.records import RunUsage
from runledger.run import RunStatus
from runledger.server.call import Call
from runledger.server.refusal import Refusal
from runledger.server.route import Lenient, Route
from runledger.server.v1.parameters import Page

RunCall = Call[Lenient, None]
_OPEN: Final = [RunStatus.CREATED.value, RunStatus.RUNNING.value]
_STATUSES: Final = [status.value for status in RunStatus if status.value != "deleted"]


class RunList(Page):
    """`agent_id` goes before `agent_ids`, `ascending` before `order`; `active` means the runs that
    have not ended, unless `statuses` say more."""

    active: bool = False
    agent_id: str | None = None
    agent_ids: list[str] | None = None
    ascending: bool = False
    background: bool | None = None
    conversation_id: str | None = None
    statuses: list[str] | None = None
    stop_reason: str | None = None


async def list_runs(call: Call[RunList, None]) -> list[Run]:
    """List runs, the newest first unless asked otherwise."""
    asked = call.query
    asked.expect_one_cursor()
    statuses = asked.statuses or (_OPEN if asked.active else None)
    unknown = [status for status in statuses or () if status not in _STATUSES]
    if unknown:
        raise Refusal(400, f"statuses: expected {', '.join(_STATUSES)}, found {unknown[0]!r:.80}")
    for cursor in (asked.after, asked.before):
        if cursor is not None:
            check_id("run", cursor)
    filters: dict[str, Any] = {
        "agent_ids": [asked.agent_id] if asked.agent_id else asked.agent_ids,
        "statuses": statuses,
        "stop_reason": asked.stop_reason,
        "background": asked.background,
        "conversation_id": asked.conversation_id,
        "ascending": asked.ascending or asked.order == "asc",
        "limit": asked.limit,
        "after": asked.after,
        "before": asked.before,
    }
    return [run_of(record) for record in await call.ledger.list_runs(actor=call.actor, **filters)]


async def get_run(call: RunCall) -> Run:
    """Return a run."""
    return run_of(await call.ledger.get_run_with_status(call.names["run_id"], actor=call.actor))


async def get_usage(call: RunCall) -> UsageStatistics:
    """Return the tokens of a run; a detail that no step reported is null."""
    return usage_of(await call.ledger.get_run_usage(call.names["run_id"], actor=call.actor))


async def get_metrics(call: RunCall) -> RunMetrics:
    """Return the duration, the number of steps and the tools of a run."""
    return metrics_of(await call.ledger.get_run_metrics(call.names["run_id"], actor=call.actor))


async def delete_run(call: RunCall) -> None:
    """Take a run out of every list; the answer is null, which the client can read."""
    await call.ledger.delete_run(call.names["run_id"], actor=call.actor)


def usage_of(found: RunUsage) -> UsageStatistics:
    """Return a run's tokens in the shape of one model call's."""
    prompt = completion = None
    if (found.cached_input_tokens, found.cache_write_tokens) != (None, None):
        prompt = UsageStatisticsPromptTokenDetails(
            cached_tokens=found.cached_input_tokens,
            cache_read_tokens=found.cached_input_tokens,
            cache_creation_tokens=found.cache_write_tokens,
        )
    if found.reasoning_tokens is not None:
        completion = UsageStatisticsCompletionTokenDetails(reasoning_tokens=found.reasoning_tokens)
    return UsageStatistics(
        completion_tokens=found.completion_tokens,
        prompt_tokens=found.prompt_tokens,
        total_tokens=found.total_tokens,
        prompt_tokens_details=prompt,
        completion_tokens_details=completion,
    )


ROUTES: Final = (
    Route(
        "GET",
        "/v1/runs/",
        "runs_list",
        list_runs,
        query=RunList,
        answer=list[Run],
        errors=(400, 404, 422, 501),
    ),
    Route("GET", "/v1/runs/{run_id}", "runs_retrieve", get_run, answer=Run, errors=(400, 404)),
    Route(
        "GET",
        "/v1/runs/{run_id}/usage",
        "runs_usage_retrieve",
        get_usage,
        answer=UsageStatistics,
        errors=(400, 404),
    ),
    Route(
        "GET",
        "/v1/runs/{run_id}/metrics",
        "runs_metrics_retrieve",
        get_metrics,
        answer=RunMetrics,
        errors=(400, 404),
    ),
    Route(
        "DELETE",
        "/v1/runs/{run_id}",
        "runs_delete",
        delete_run,
        scope="runs:write",
        errors=(400, 403, 404, 409),
    ),
)
