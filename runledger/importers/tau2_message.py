"""One tau2-bench message → a message of the ledger; what has no field goes to `extra`."""

import json
from collections.abc import Iterator
from typing import Any, Final

from pydantic import ValidationError

from runledger.errors import InvalidArgument, describe
from runledger.importers.foreign import Foreign
from runledger.importers.tau2_calls import CallIds
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
    source: Foreign, message_id: str, step_id: str | None, model: str | None, calls: CallIds
) -> Message:
    """Return the message; raises InvalidArgument that names the place of the fault."""
    role = _ROLES.get(str(source.fields.get("role")))
    if role is None:
        raise source.fault("role", "system, user, assistant or tool")
    fields: dict[str, Any] = {
        "id": message_id,
        "role": role,
        "created_at": source.time("timestamp"),
        "step_id": step_id,
    }
    extra = {
        key: value
        for key, value in source.fields.items()
        if key not in _MAPPED and value is not None
    }
    if role == "tool":
        original = source.text("id") or ""
        answered = calls.answered(original)
        if answered == original:
            extra.pop("id", None)
        failed = source.flag("error")
        fields.update(
            tool_call_id=answered,
            step_id=calls.step_of(answered),
            is_err=failed,
            tool_returns=[
                ToolReturn(
                    tool_call_id=answered,
                    status="error" if failed else "success",
                    func_response=source.text("content"),
                )
            ],
        )
    else:
        made = list(_calls(source, step_id, calls))
        renamed = {call.id: original for original, call in made if call.id != original}
        if renamed:
            extra["tool_call_ids"] = renamed
        fields.update(
            model=model,
            content=_content(source),
            tool_calls=[call for _, call in made] or None,
        )
    try:
        return Message.model_validate({**fields, "extra": extra or None})
    except ValidationError as e:
        raise InvalidArgument(f"{source.place}: {describe(e)}") from e


def _content(source: Foreign) -> list[TextContent | ReasoningContent] | None:
    parts: list[TextContent | ReasoningContent] = []
    reasoning, text = source.text("reasoning"), source.text("content")
    if reasoning:
        parts.append(ReasoningContent(is_native=True, reasoning=reasoning))
    if text is not None:
        parts.append(TextContent(text=text))
    return parts or None


def _calls(source: Foreign, step_id: str | None, calls: CallIds) -> Iterator[tuple[str, ToolCall]]:
    """Yield (the source's id, the call)."""
    for call in source.objects("tool_calls"):
        name, arguments = call.text("name"), call.fields.get("arguments")
        if not name:
            raise call.fault("name", "the name of a tool")
        if not isinstance(arguments, str):
            arguments = json.dumps(arguments or {}, ensure_ascii=False)
        original = call.text("id") or ""
        yield (
            original,
            ToolCall(
                id=calls.call(original, step_id),
                function=Function(name=name, arguments=arguments),
                requestor=call.text("requestor") or source.text("role"),
            ),
        )
