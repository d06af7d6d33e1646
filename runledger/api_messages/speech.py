"""What an agent says by calling a tool: the calls of a message, and which of them are speech."""

import json

from runledger.api_messages.models import ApiToolCall
from runledger.api_messages.request_config import RequestConfig
from runledger.messages import Message, ToolCallContent
from runledger.tool_returns import without_halves


def calls_of(message: Message) -> list[ApiToolCall]:
    """Return a message's calls, once each, whether they stand apart or among its content."""
    calls = {
        call.id: ApiToolCall(
            name=call.function.name, arguments=call.function.arguments, tool_call_id=call.id
        )
        for call in message.tool_calls or ()
    }
    for part in message.content or ():
        if isinstance(part, ToolCallContent) and part.id not in calls:
            arguments = json.dumps(part.input, ensure_ascii=False)
            calls[part.id] = ApiToolCall(name=part.name, arguments=arguments, tool_call_id=part.id)
    return list(calls.values())


def said_by(call: ApiToolCall, config: RequestConfig) -> str | None:
    """Return what a call says to the user; None for a call like any other.

    A call that does not parse is like any other: it is shown as the model made it.
    """
    if not config.use_assistant_message or call.name != config.assistant_message_tool_name:
        return None
    try:
        said = json.loads(without_halves(call.arguments))[config.assistant_message_tool_kwarg]
        return said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def spoken_calls(message: Message, config: RequestConfig) -> set[str]:
    """Return the ids of a message's calls that are shown as what the agent said."""
    if message.role != "assistant" or not config.use_assistant_message:
        return set()
    return {call.tool_call_id for call in calls_of(message) if said_by(call, config) is not None}
