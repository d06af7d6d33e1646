"""Messages to the user by a tool call: the calls of a message, and which of them are speech."""

import json

from runledger.api_messages.models import ApiToolCall
from runledger.api_messages.request_config import RequestConfig
from runledger.messages import Message, ToolCallContent
from runledger.tool_returns import without_halves


def calls_of(message: Message) -> list[ApiToolCall]:
    """Return a message's calls, once each, from its `tool_calls` and its content."""
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
    """Return the text of a call for the user; None for any other call.

    A call that does not parse counts as any other call: it is shown unchanged.
    """
    if not config.use_assistant_message or call.name != config.assistant_message_tool_name:
        return None
    try:
        said = json.loads(without_halves(call.arguments))[config.assistant_message_tool_kwarg]
        return said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def spoken_calls(message: Message, config: RequestConfig) -> set[str]:
    """Return the ids of a message's calls that are shown as messages of the agent."""
    if message.role != "assistant" or not config.use_assistant_message:
        return set()
    return {call.tool_call_id for call in calls_of(message) if said_by(call, config) is not None}
