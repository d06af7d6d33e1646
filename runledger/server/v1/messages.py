"""The messages of a run or of a step, as the official client asks for them."""

from typing import Annotated, Final

from pydantic import Field

from runledger.api_messages import ApiMessage
from runledger.server.call import Call
from runledger.server.route import Route
from runledger.server.v1.parameters import MessagePage

MessageCall = Call[MessagePage, None]
Messages = list[Annotated[ApiMessage, Field(discriminator="message_type")]]


async def list_run_messages(call: MessageCall) -> list[ApiMessage]:
    """List the messages of a run; one stored message may be several items of one id."""
    return await _page(call, call.names["run_id"])


async def list_step_messages(call: MessageCall) -> list[ApiMessage]:
    """List the messages of a step."""
    step = await call.ledger.get_step(call.names["step_id"], actor=call.actor)
    return await _page(call, step.run_id, step.step_id)


async def _page(call: MessageCall, run_id: str, step_id: str | None = None) -> list[ApiMessage]:
    asked = call.query
    asked.expect_one_cursor()
    return await call.ledger.get_run_messages(
        run_id,
        order=asked.order,
        limit=asked.limit,
        after=asked.after,
        before=asked.before,
        step_id=step_id,
        actor=call.actor,
    )


ROUTES: Final = (
    Route(
        "GET",
        "/v1/runs/{run_id}/messages",
        "runs_messages_list",
        list_run_messages,
        query=MessagePage,
        answer=Messages,
        errors=(400, 404, 422),
    ),
    Route(
        "GET",
        "/v1/steps/{step_id}/messages",
        "steps_messages_list",
        list_step_messages,
        query=MessagePage,
        answer=Messages,
        errors=(400, 404, 422, 501),
    ),
)
