"""The facts of a message for projections: derived once, when it is recorded."""

from runledger.messages import (
    Approval,
    ApprovalFacts,
    CallFacts,
    Message,
    MessageFacts,
    ReturnFacts,
    ToolCallContent,
    ToolReturn,
    ToolReturnContent,
)


def describe_message(message: Message) -> MessageFacts:
    """Return the facts of a message: ids, role, names of called tools, outcomes; no text.

    A call that is given both in `tool_calls` and as a content part is one call. The id of a call,
    and of the call that a return answers, is empty if none was given.
    """
    calls = [
        CallFacts(tool_call_id=call.id, name=call.function.name, tool_id=call.tool_id)
        for call in message.tool_calls or ()
    ]
    listed = {call.tool_call_id for call in calls}
    returns = []
    answers = []
    for part in message.content or ():
        if isinstance(part, ToolCallContent) and part.id not in listed:
            calls.append(CallFacts(tool_call_id=part.id, name=part.name))
        elif isinstance(part, ToolReturnContent):
            status = "error" if part.is_error else "success"
            returns.append(ReturnFacts(tool_call_id=part.tool_call_id, status=status))
    for item in (*(message.tool_returns or ()), *(message.approvals or ())):
        if isinstance(item, ToolReturn):
            call_id = item.tool_call_id or message.tool_call_id or ""
            returns.append(ReturnFacts(tool_call_id=call_id, status=item.status))
        elif isinstance(item, Approval):
            answers.append(ApprovalFacts(tool_call_id=item.tool_call_id, approve=item.approve))
    if message.role == "tool" and not returns:
        status = "error" if message.is_err else "success"
        returns.append(ReturnFacts(tool_call_id=message.tool_call_id or "", status=status))
    return MessageFacts(
        message_id=message.id,
        role=message.role,
        step_id=message.step_id,
        tool_calls=calls,
        tool_returns=returns,
        approvals=answers,
    )
