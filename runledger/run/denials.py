"""The messages that close open tool calls: the refusal, and the error returns for the model."""

from runledger.ids import derived_id
from runledger.messages import Approval, Message, ToolReturn
from runledger.run.envelope import Envelope
from runledger.run.state import Run
from runledger.tool_returns import wrap_return


def messages(run: Run, reason: str, envelope: Envelope) -> list[Message]:
    """Return an approval message (for calls that wait for a person) and a tool message (for all).

    The tool message has an error return for every open call, because providers refuse a
    conversation with an unanswered call. Ids are derived from the run and its version, so that a
    repeated decision results in the same messages.
    """
    every = list(run.open_calls.values())
    # A call that a person has granted is not refused: it only gets its error return.
    asked = [call for call in every if call.requested_by and not call.answered]
    first = (asked or every)[0]
    step_id = first.step_id
    made = []
    if asked:
        made.append(
            Message(
                id=derived_id("message", run.run_id, str(run.version), "approval"),
                role="approval",
                created_at=envelope.occurred_at,
                step_id=step_id,
                approval_request_id=first.requested_by,
                approvals=[
                    Approval(tool_call_id=call.raw_id, approve=False, reason=reason)
                    for call in asked
                ],
            )
        )
    told = f"Error: request to call tool denied. User reason: {reason}"
    text = wrap_return(told, "error", envelope.occurred_at)
    made.append(
        Message(
            id=derived_id("message", run.run_id, str(run.version), "tool"),
            role="tool",
            created_at=envelope.occurred_at,
            step_id=step_id,
            tool_call_id=every[0].raw_id,
            tool_returns=[
                ToolReturn(tool_call_id=call.raw_id, status="error", func_response=text)
                for call in every
            ],
        )
    )
    return made
