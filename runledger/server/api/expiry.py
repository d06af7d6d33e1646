"""Ends what was abandoned, as a timer or `runledger expire` asks for it."""

from datetime import timedelta
from functools import partial
from typing import Any, Final

from pydantic import AwareDatetime, BaseModel

from runledger.server.api.api_route import api_route
from runledger.server.call import Call
from runledger.server.route import Strict


class ExpireApprovals(Strict):
    """See RunLedger.expire_approvals; `every_organization` is for keys of all of them."""

    every_organization: bool = False
    at: AwareDatetime | None = None


class ExpireRuns(ExpireApprovals):
    """See RunLedger.expire_runs; `older_than` is seconds, or a duration such as PT1H (ISO 8601)."""

    older_than: timedelta


class Expired(BaseModel):
    """The ids of the runs that were ended, or whose open tool calls were denied."""

    run_ids: list[str]


async def expire_runs(call: Call[Strict, ExpireRuns]) -> Expired:
    """Fail the open runs that had no event for some time."""
    return Expired(run_ids=await call.ledger.expire_runs(**_given(call)))


async def expire_approvals(call: Call[Strict, ExpireApprovals]) -> Expired:
    """Deny the open tool calls of runs whose approval deadline has passed."""
    return Expired(run_ids=await call.ledger.expire_approvals(**_given(call)))


def _given(call: Call[Strict, Any]) -> dict[str, Any]:
    body = call.body
    if body.every_organization:
        call.caller.expect_every_organization("every_organization")
    return {**{name: getattr(body, name) for name in body.model_fields_set}, "actor": call.actor}


_route = partial(api_route, scope="runs:write", errors=(400, 403, 415, 422, 501, 503))


ROUTES: Final = (
    _route("POST", "runs/expire", expire_runs, Expired, body=ExpireRuns),
    _route("POST", "runs/expire_approvals", expire_approvals, Expired, body=ExpireApprovals),
)
