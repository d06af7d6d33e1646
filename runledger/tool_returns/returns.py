"""The returns of a message, and their form as text."""

from collections.abc import Callable, Iterator
from typing import Any, Final

from runledger.errors import InvalidArgument
from runledger.messages import ImageContent, Message, ReturnPart, TextContent, ToolReturn
from runledger.messages import ToolReturnContent as ReturnContent
from runledger.tool_returns.envelope import Status, unwrap_return

Payload = dict[str, Any]
IMAGE_OMITTED: Final = "[Image omitted]"


def returns_of(message: Message) -> list[ToolReturn]:
    """Return a message's tool returns, each with its call id if any is known.

    A tool message without `tool_returns` has one return per ToolReturnContent. If there is none,
    its whole content is the return, and the status comes from `is_err` or the envelope.
    """
    if message.tool_returns:
        if len(message.tool_returns) > 1:
            return message.tool_returns
        [only] = message.tool_returns
        return [only.model_copy(update={"tool_call_id": only.tool_call_id or message.tool_call_id})]
    if message.role != "tool":
        return []
    inside = [
        ToolReturn(
            tool_call_id=part.tool_call_id,
            status="error" if part.is_error else "success",
            func_response=part.content,
        )
        for part in message.content or ()
        if isinstance(part, ReturnContent)
    ]
    return inside or [_whole(message)]


def _whole(message: Message) -> ToolReturn:
    parts: list[ReturnPart] = [
        part for part in message.content or () if isinstance(part, TextContent | ImageContent)
    ]
    plain = all(isinstance(part, TextContent) for part in parts)
    said: Status | None = unwrap_return(message.text())[1] if plain else None
    return ToolReturn(
        tool_call_id=message.tool_call_id,
        status="error" if message.is_err else said or "success",
        func_response=message.text() if plain else parts,
    )


def answered_calls(message: Message) -> Iterator[tuple[str, ToolReturn]]:
    """Yield each return with the id of its call; raise InvalidArgument if an id is unknown."""
    for item in returns_of(message):
        if not item.tool_call_id:
            raise InvalidArgument(
                f"message {message.id!r}: expected a tool_call_id on every return, found none"
            )
        yield item.tool_call_id, item


def tool_return_to_text(response: str | list[ReturnPart] | None) -> str | None:
    """Return a tool return as text only: texts by line, then the number of omitted images."""
    if response is None or isinstance(response, str):
        return response or None
    texts = [part.text for part in response if isinstance(part, TextContent)]
    images = len(response) - len(texts)
    omitted = "" if not images else IMAGE_OMITTED if images == 1 else f"[{images} images omitted]"
    return " ".join(filter(None, ("\n".join(texts), omitted))) or None


def truncate(text: str, limit: int | None) -> str:
    """Return the first `limit` characters and how many follow; the whole text without a limit."""
    if limit is None or len(text) <= limit:
        return text
    return f"{text[:limit]}... [truncated {len(text) - limit} chars]"


def text_or_parts(
    item: ToolReturn, part: Callable[[ReturnPart], Payload], limit: int | None
) -> str | list[Payload]:
    """Return a text return as text, a list as the results of `part` for each item; "" if empty."""
    if isinstance(item.func_response, list):
        return [part(each) for each in item.func_response] or ""
    return truncate(item.func_response or "", limit)
