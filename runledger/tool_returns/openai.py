"""Tool returns for OpenAI: Chat Completions, which accepts only text, and Responses."""

from typing import Final

from runledger.messages import Message, ReturnPart, TextContent
from runledger.tool_returns.image_bytes import Blobs, image_url
from runledger.tool_returns.returns import (
    IMAGE_OMITTED,
    Payload,
    answered_calls,
    text_or_parts,
    tool_return_to_text,
    truncate,
)

_ID_LENGTH: Final = 29


def openai_call_id(tool_call_id: str) -> str:
    """Shorten a call id to OpenAI's limit, in the same way for calls and returns."""
    return tool_call_id[:_ID_LENGTH]


def to_openai_chat(message: Message, *, limit: int | None = None) -> list[Payload]:
    """Return Chat Completions messages, one per return; images become a placeholder text."""
    return [
        {
            "role": "tool",
            "tool_call_id": openai_call_id(call_id),
            "content": truncate(tool_return_to_text(item.func_response) or "", limit),
        }
        for call_id, item in answered_calls(message)
    ]


def to_openai_responses(
    message: Message, blobs: Blobs, *, limit: int | None = None
) -> list[Payload]:
    """Return function_call_output items of the Responses API, one per return."""

    def part(item: ReturnPart) -> Payload:
        if isinstance(item, TextContent):
            return {"type": "input_text", "text": truncate(item.text, limit)}
        url = image_url(item.source, blobs)
        if url is None:
            return {"type": "input_text", "text": IMAGE_OMITTED}
        detail = getattr(item.source, "detail", None) or "auto"
        return {"type": "input_image", "image_url": url, "detail": detail}

    return [
        {
            "type": "function_call_output",
            "call_id": openai_call_id(call_id),
            "output": text_or_parts(item, part, limit),
        }
        for call_id, item in answered_calls(message)
    ]
