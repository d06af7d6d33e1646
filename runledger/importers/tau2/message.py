"""Converts a tau2-bench message to a message of the ledger; other fields are stored in `extra`."""

import json
from collections.abc import Iterator
from typing import Any, Final

from pydantic import ValidationError

from runledger.errors import InvalidArgument, describe
from runledger.importers.foreign import Foreign
from runledger.messages import (
    Function,
    Message,
    ReasoningContent,
    Role,
    TextContent,
    ToolCall,
    ToolReturn,
)

_ROLES: Final[dict[str, Role]] = {
    "system": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
}
_MAPPED: Final = {"role", "content", "tool_calls", "timestamp", "reasoning", "error"}


def flattened(messages: Iterator[Foreign]) -> Iterator[Foreign]:
    """Yield the messages, those of a MultiToolMessage one by one."""
    for message in messages:
        if "tool_messages" in message.fields:
            yield from message.objects("tool_messages")
        else:
            yield message


def ledger_message(
    source: Foreign,
    message_id: str,
    step_id: str | None,
    model: str | None,
    callers: dict[str, str | None],
) -> Message:
    """Return the message; InvalidArgument with the place if the content is wrong.

    `callers` maps each open call to its step, so that the return belongs to the same step.
    """
    role = _ROLES.get(str(source.fields.get("role")))
    if role is None:
        raise source.fault("role", "system, user, assistant or tool")
    fields: dict[str, Any] = {
        "id": message_id,
        "role": role,
        "created_at": source.time("timestamp"),
        "extra": _extra(source, role) or None,
    }
    if role == "tool":
        call_id, failed = _call_id(source), source.flag("error")
        fields.update(
            tool_call_id=call_id,
            step_id=callers.pop(call_id, None),
            is_err=failed,
            tool_returns=[
                ToolReturn(
                    tool_call_id=call_id,
                    status="error" if failed else "success",
                    func_response=source.text("content"),
                )
            ],
        )
    else:
        made = list(_calls(source))
        callers.update((call.id, step_id) for call in made)
        fields.update(
            step_id=step_id, model=model, content=_content(source), tool_calls=made or None
        )
    try:
        return Message.model_validate(fields)
    except ValidationError as e:
        raise InvalidArgument(f"{source.place}: {describe(e)}") from e


def _extra(source: Foreign, role: Role) -> dict[str, Any]:
    # The id of a tool message is the call that it answers; others have ids of their own.
    mapped = _MAPPED | {"id"} if role == "tool" else _MAPPED
    return {
        key: value
        for key, value in source.fields.items()
        if key not in mapped and value is not None
    }


def _call_id(source: Foreign) -> str:
    """Return the id; calls without one get a common name, which the run numbers."""
    return source.text("id") or "call"


def _content(source: Foreign) -> list[TextContent | ReasoningContent] | None:
    parts: list[TextContent | ReasoningContent] = []
    reasoning, text = source.text("reasoning"), source.text("content")
    if reasoning:
        parts.append(ReasoningContent(is_native=True, reasoning=reasoning))
    if text is not None:
        parts.append(TextContent(text=text))
    return parts or None


def _calls(source: Foreign) -> Iterator[ToolCall]:
    for call in source.objects("tool_calls"):
        name, arguments = call.text("name"), call.fields.get("arguments")
        if name is None:
            raise call.fault("name", "the name of a tool")
        if not isinstance(arguments, str):
            arguments = json.dumps(arguments or {}, ensure_ascii=False)
        yield ToolCall(
            id=_call_id(call),
            function=Function(name=name, arguments=arguments),
            requestor=call.text("requestor") or source.text("role"),
        )
